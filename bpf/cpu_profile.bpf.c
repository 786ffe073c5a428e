// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where CPUs spend their time: 49 times a second (--profile-hz) each CPU's clock looks at what runs there, by name and
 * stack. A sample stands for its period, so that the sum is the time; idle CPUs are left out. Rows are kept by second.
 * The kernel does not count the samples that it skips; the exact time is in cpu_time.
 */
#include "stack.h"

struct cpu_profile_key {
	struct muster_owner owner;
	struct muster_comm comm;
	__u64 stack MUSTER_AS("stack");
};
MUSTER_COUNTER_BY_SECOND(cpu_profile, struct cpu_profile_key, 4096, "ns", "time on CPUs, sampled, by stack",
			 MUSTER_OWNED);

struct cpu_samples_key {
	struct muster_owner owner;
	struct muster_comm comm;
};
MUSTER_COUNTER(cpu_samples, struct cpu_samples_key, 4096, "samples", "samples taken of what runs", MUSTER_OWNED);

/* struct bpf_perf_event_data: registers first, whose size differs; what follows is found by CO-RE. */
struct bpf_perf_event_data_kern___muster {
	struct perf_sample_data___muster *data;
} __attribute__((preserve_access_index));
struct perf_sample_data___muster {
	__u64 period;
} __attribute__((preserve_access_index));

SEC("perf_event")
int on_clock(void *ctx)
{
	const struct task_struct___muster *task = muster_task();
	struct cpu_profile_key key = { 0 };
	struct cpu_samples_key sample = { 0 };
	__u64 period;

	if (!task->pid || !muster_in_scope(task)) /* 0: the idle task */
		return 0;
	key.owner = sample.owner = muster_owner_of(task);
	key.comm = sample.comm = muster_comm_of(task);
	key.stack = muster_stack(ctx);
	period = BPF_CORE_READ((const struct bpf_perf_event_data_kern___muster *)ctx, data, period);
	muster_add(cpu_profile, &key, period);
	muster_add(cpu_samples, &sample, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
