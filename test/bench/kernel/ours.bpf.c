// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Muster's techniques, one program each, on calls that counted.h names. */
#include "caller.h"
#include "counted.h"

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

/* Ten points of time for each number: what a reader takes at once, it would else have to take ten times. */
struct points_key {
	__u64 number;
	__u64 tenth;
};
MUSTER_COUNTER(points, struct points_key, 4096, "calls", "calls by number and tenth of a second");

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
int on_points(__u64 *args)
{
	struct points_key key = { .number = args[1] };

	if (!COUNTED(key.number))
		return 0;
	key.tenth = bpf_ktime_get_ns() / 100000000 % 10;
	muster_add(points, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
