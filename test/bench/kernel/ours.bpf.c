// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Muster's techniques, one program each, on calls of numbers from 1,000 on, none of which exists. */
#include "caller.h"

struct calls_key {
	__u64 number;
	struct muster_comm comm;
};
MUSTER_COUNTER(calls, struct calls_key, 16384, "calls", "calls by number and command");

struct number_key {
	__u64 number;
};
MUSTER_FIRST_SEEN(firsts, struct number_key, 65536, 4096, "calls", "calls not seen before");

struct heavy_key {
	__u64 number;
	MUSTER_CELL;
};
MUSTER_HEAVY(weights, struct heavy_key, 8192, "bytes", "weights of calls");

struct kinds_key {
	MUSTER_REGISTER;
};
MUSTER_DISTINCT(kinds, struct kinds_key, 16384, "calls", "different calls");

/* Ten points of time in one row: what a reader takes once, it would else have to take ten times. */
struct ten {
	__u64 point[10];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ten);
} tens SEC(".maps");

#define COUNTED(number) ((number) >= 1000 && (number) < 1 << 30)

SEC("?tp_btf/sys_enter")
int on_table(__u64 *args)
{
	const __u64 number = args[1];
	struct calls_key key = { .number = number };

	if (!COUNTED(number))
		return 0;
	key.comm = muster_comm_of(muster_caller(args[0]));
	muster_add(calls, &key, 1);
	return 0;
}

SEC("?tp_btf/sys_enter")
int on_first(__u64 *args)
{
	const struct number_key key = { .number = args[1] };

	if (COUNTED(key.number))
		muster_first_seen(firsts, &key);
	return 0;
}

SEC("?tp_btf/sys_enter")
int on_heavy(__u64 *args)
{
	struct heavy_key key = { .number = args[1] };

	if (COUNTED(key.number))
		muster_add_heavy(weights, &key, key.number % 1000 ? 1 : 10000);
	return 0;
}

SEC("?tp_btf/sys_enter")
int on_distinct(__u64 *args)
{
	const struct number_key value = { .number = args[1] };
	struct kinds_key key;

	if (COUNTED(value.number))
		muster_distinct(kinds, &key, &value);
	return 0;
}

SEC("?tp_btf/sys_enter")
int on_tens(__u64 *args)
{
	const __u32 at = args[1] & 4095;
	struct ten *ten;

	if (!COUNTED(args[1]))
		return 0;
	ten = bpf_map_lookup_elem(&tens, &at);
	if (ten)
		__sync_fetch_and_add(&ten->point[bpf_ktime_get_coarse_ns() / 100000000 % 10], 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
