// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A hook's own cost, which every program on it pays: by kind of hook. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp_btf/sys_enter")
int on_empty(__u64 *args)
{
	return 0 * (args == 0);
}

SEC("tracepoint/raw_syscalls/sys_enter")
int on_empty_classic_enter(void *context)
{
	return 0 * (context == 0);
}

SEC("tracepoint/raw_syscalls/sys_exit")
int on_empty_classic_exit(void *context)
{
	return 0 * (context == 0);
}

SEC("tp_btf/sched_switch")
int on_empty_switch(__u64 *args)
{
	return 0 * (args == 0);
}

SEC("tp_btf/block_rq_complete")
int on_empty_complete(__u64 *args)
{
	return 0 * (args == 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
