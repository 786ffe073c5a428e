// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The hook's own cost, which every program on it pays. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp_btf/sys_enter")
int on_empty(__u64 *args)
{
	return 0 * (args == 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
