// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * For tests: sketches of the numbers of system calls from 5,000 on, which do not exist. Each is a value; as a heavy
 * hitter it weighs 1, or 1,000 if it is a multiple of 100.
 */
#include "muster.bpf.h"

struct kinds_key {
	__u64 parity;
	MUSTER_REGISTER;
};
MUSTER_DISTINCT(kinds, struct kinds_key, 16384, "calls", "different calls, by parity");

struct weights_key {
	__u64 number;
	MUSTER_CELL;
};
MUSTER_HEAVY(weights, struct weights_key, 8192, "bytes", "weights of calls");

struct firsts_key {
	__u64 number;
};
MUSTER_FIRST_SEEN(firsts, struct firsts_key, 8192, 256, "calls", "calls not seen before");

SEC("tp_btf/sys_enter")
int on_sys_enter(__u64 *args)
{
	const struct firsts_key value = { .number = args[1] };
	struct kinds_key kind = { .parity = value.number & 1 };
	struct weights_key weight = { .number = value.number };

	if (value.number < 5000 || value.number >= 1 << 30 || !muster_in_scope(muster_task()))
		return 0;
	muster_distinct(kinds, &kind, &value);
	muster_add_heavy(weights, &weight, value.number % 100 ? 1 : 1000);
	muster_first_seen(firsts, &value);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
