// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts calls of 100 numbers that do not exist, as a probe of its own. */
#include "muster.bpf.h"

struct counts_key {
	__u64 number;
};
MUSTER_COUNTER(counts, struct counts_key, 1024, "calls", "calls by number");

SEC("tp_btf/sys_enter")
int on_counts(__u64 *args)
{
	const struct counts_key key = { .number = args[1] };

	if (key.number >= 1000 && key.number < 1100)
		muster_add(counts, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
