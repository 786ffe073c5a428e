// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A probe of its own, to be loaded under pins: calls by number. */
#include "muster.bpf.h"
#include "counted.h"

struct counts_key {
	__u64 number;
};
MUSTER_COUNTER(counts, struct counts_key, 16384, "calls", "calls by number");

SEC("tp_btf/sys_enter")
int on_counts(__u64 *args)
{
	const struct counts_key key = { .number = args[1] };

	if (COUNTED(key.number))
		muster_add(counts, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
