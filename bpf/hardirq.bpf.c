// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long interrupt handlers of devices ran, by the handler's name as /proc/interrupts has it (its first 31 bytes).
 * Timers and calls between CPUs have no such handler. They belong to no task: a scope does not narrow them.
 */
#include "muster.bpf.h"

struct hardirq_key {
	__u64 irq[4] MUSTER_AS("text");
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(hardirq, struct hardirq_key, 4096, "ns", "time in interrupt handlers of devices");

/* When the handler that a CPU runs was entered; 0 if that was not seen. Handlers run with interrupts off. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hardirq_entered SEC(".maps");

static __always_inline __u64 *entered(void)
{
	const __u32 zero = 0;

	return bpf_map_lookup_elem(&hardirq_entered, &zero);
}

SEC("tp_btf/irq_handler_entry")
int on_irq_handler_entry(__u64 *args __attribute__((unused))) /* irq, action */
{
	__u64 *since = entered();

	if (since)
		*since = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/irq_handler_exit")
int on_irq_handler_exit(__u64 *args) /* irq, action, ret */
{
	const struct irqaction___muster *action = (const void *)args[1];
	__u64 *since = entered();
	struct hardirq_key key = { 0 };
	__u64 spent;

	/* 0: it was entered before the probe was attached. */
	if (!since || !*since)
		return 0;
	spent = bpf_ktime_get_ns() - *since;
	*since = 0;
	/* Not to be read: then its name stays empty, and its time is counted all the same. */
	if (bpf_probe_read_kernel_str(key.irq, sizeof(key.irq), action->name) < 0)
		__builtin_memset(key.irq, 0, sizeof(key.irq));
	muster_observe(hardirq, &key, spent);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
