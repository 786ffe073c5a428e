// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long softirq handlers ran, by vector. What interrupts a handler is part of its time. They belong to no task: a
 * scope does not narrow them.
 */
#include "muster.bpf.h"

struct softirq_key {
	__u64 vector MUSTER_AS("softirq");
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(softirq, struct softirq_key, 4096, "ns", "time in softirq handlers");

/* When the handler that a CPU runs was entered; 0 if that was not seen. Softirqs do not nest. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} softirq_entered SEC(".maps");

static __always_inline __u64 *entered(void)
{
	const __u32 zero = 0;

	return bpf_map_lookup_elem(&softirq_entered, &zero);
}

SEC("tp_btf/softirq_entry")
int on_softirq_entry(__u64 *args __attribute__((unused))) /* vector */
{
	__u64 *since = entered();

	if (since)
		*since = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/softirq_exit")
int on_softirq_exit(__u64 *args) /* vector */
{
	__u64 *since = entered();
	struct softirq_key key;

	/* 0: it was entered before the probe was attached. */
	if (!since || !*since)
		return 0;
	key.vector = (__u32)args[0];
	muster_observe(softirq, &key, bpf_ktime_get_ns() - *since);
	*since = 0;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
