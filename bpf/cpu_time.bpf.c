// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Time that tasks spent on a CPU, and how often they left one, by name. One hook and no clock read: at sched_switch the
 * scheduler has just brought up to date what the task that leaves has run in all (sum_exec_runtime, the first number of
 * /proc/PID/schedstat). A span on a CPU is counted whole when it ends, under the name that the task has then.
 */
#include "muster.bpf.h"

struct cpu_time_key {
	struct muster_owner owner;
	struct muster_comm comm;
};
MUSTER_COUNTER(cpu_time, struct cpu_time_key, 8192, "ns", "time that tasks spent on a CPU", MUSTER_OWNED);

/* Blocked: it waits for something. Preempted: it could have gone on (the kernel's voluntary and involuntary). */
enum left { blocked = 0, preempted = 1 };
struct context_switches_key {
	struct muster_owner owner;
	struct muster_comm comm;
	enum left left;
	__u32 pad;
};
MUSTER_COUNTER(context_switches, struct context_switches_key, 8192, "switches", "times that tasks left a CPU", MUSTER_OWNED);

/*
 * What each task had run in all when it was last switched out, by the low 16 bits of its pid, one word each, so that
 * two tasks that share a place can neither tear it nor be taken for one another:
 *     ns run since fork (57 bits) | 1 | pid >> 16 (6 bits, as pids have at most 22)
 */
#define PLACES 65536
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLACES);
	__type(key, __u32);
	__type(value, __u64);
} cpu_time_run SEC(".maps");

static __always_inline __u64 state_of(const struct task_struct___muster *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return ((const struct task_struct___before_5_14 *)task)->state;
}

SEC("tp_btf/sched_switch")
int on_sched_switch(__u64 *args) /* preempt, prev, next, prev_state */
{
	const struct task_struct___muster *prev = (const void *)args[1];
	struct cpu_time_key key;
	struct context_switches_key switched;
	__u64 total, span, *place;
	__u32 pid, at;

	pid = prev->pid;
	if (!pid || !muster_in_scope(prev)) /* 0: the idle task */
		return 0;
	total = prev->se.sum_exec_runtime;
	/* Where it is not known what it had run before, its time since it was switched in has to do. */
	span = prev->se.cfs_rq->rq->clock - prev->sched_info.last_arrival;
	at = pid % PLACES;
	place = bpf_map_lookup_elem(&cpu_time_run, &at);
	if (place) {
		const __u64 tag = 64 | (pid / PLACES);
		const __u64 last = *place;

		if (prev->sched_info.pcount == 1) /* its first span */
			span = total;
		else if ((last & 127) == tag)
			span = ((total << 7) - (last & ~127ULL)) >> 7;
		*place = total << 7 | tag;
	}
	key.owner = switched.owner = muster_owner_of(prev);
	key.comm = muster_comm_of(prev);
	switched.comm = key.comm;
	switched.left = (args[0] & 1) || !state_of(prev) ? preempted : blocked;
	switched.pad = 0;
	/*
	 * Sole writer: this program alone writes the tables, and the kernel skips (and counts as recursion_misses) a
	 * tp_btf program that is entered on a CPU where it already runs; here interrupts are off besides.
	 */
	muster_add_sole(cpu_time, &key, span);
	muster_add_sole(context_switches, &switched, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
