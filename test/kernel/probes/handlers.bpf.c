// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An account of the handlers that ended, independent of the probes and their header: one number a vector or line. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define LINES 4096

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LINES);
	__type(key, __u32);
	__type(value, __u64);
} softirqs SEC(".maps"), interrupts SEC(".maps");

SEC("raw_tp/softirq_exit")
int on_softirq(struct bpf_raw_tracepoint_args *context)
{
	const __u32 vector = context->args[0];
	__u64 *ended = bpf_map_lookup_elem(&softirqs, &vector);

	if (ended)
		__sync_fetch_and_add(ended, 1);
	return 0;
}

SEC("raw_tp/irq_handler_exit")
int on_interrupt(struct bpf_raw_tracepoint_args *context)
{
	const __u32 line = context->args[0];
	__u64 *ended = bpf_map_lookup_elem(&interrupts, &line);

	if (ended)
		__sync_fetch_and_add(ended, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
