// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long tasks that could run waited for a CPU, by name, as histograms in ns. One hook and no clock read: the
 * scheduler keeps the times itself (sched_info, as in /proc/PID/schedstat), and at sched_switch, with the run queue
 * locked, the wait of the next task is not closed yet. Why and how exact: docs/decisions/0003-runqueue-from-sched-info.md
 */
#include "muster.bpf.h"

struct runqueue_key {
	struct muster_owner owner;
	struct muster_comm comm;
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(runqueue, struct runqueue_key, 16384, "ns", "time that runnable tasks waited for a CPU", MUSTER_OWNED);

/*
 * A wait may have parts: a migration closes one on the old CPU and opens the next on the new one. What a task had
 * waited in all when it was last switched in tells them apart from earlier waits. By the low 16 bits of the pid, one
 * word each, so that two tasks that share a place can neither tear it nor be taken for one another:
 *     ns waited since fork (57 bits) | 1 | pid >> 16 (6 bits, as pids have at most 22)
 */
#define PLACES 65536
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLACES);
	__type(key, __u32);
	__type(value, __u64);
} runqueue_waited SEC(".maps");

SEC("tp_btf/sched_switch")
int on_sched_switch(__u64 *args) /* preempt, prev, next, prev_state */
{
	const struct task_struct___muster *next = (const void *)args[2];
	struct runqueue_key key;
	__u64 queued, delay, total, *place;
	__u32 pid, at;
	long long wait;

	/* 0: it did not wait, as the idle task never does. */
	queued = next->sched_info.last_queued;
	if (!queued || !muster_in_scope(next))
		return 0;
	wait = next->se.cfs_rq->rq->clock - queued;
	if (wait < 0)
		wait = 0;
	delay = next->sched_info.run_delay;
	total = delay + wait;
	pid = next->pid;
	at = pid % PLACES;
	place = bpf_map_lookup_elem(&runqueue_waited, &at);
	if (place) {
		const __u64 tag = 64 | (pid / PLACES);
		const __u64 last = *place;

		/* A task's first time on a CPU; otherwise, where the place is not its own, the last part has to do. */
		if (next->sched_info.pcount == 0)
			wait = total;
		else if ((last & 127) == tag)
			wait = ((total << 7) - (last & ~127ULL)) >> 7;
		*place = total << 7 | tag;
	}
	if (muster_spared_observation_sole(runqueue, wait))
		return 0;
	key.owner = muster_owner_of(next);
	key.comm = muster_comm_of(next);
	/*
	 * Sole writer: this program alone writes the table, and the kernel skips (and counts as recursion_misses) a
	 * tp_btf program that is entered on a CPU where it already runs; here interrupts are off besides.
	 */
	muster_observe_sole(runqueue, &key, wait);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
