// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Time that tasks spent off a CPU, by name, by the state in which they left it, and by the stack that led there. Counted
 * when the task is back, under the name that it has then. It walks two stacks at each switch: choose it where that is
 * worth it.
 */
/* Busy hosts leave CPUs by more ways than they use them; most are named long before they are forgotten. */
#define MUSTER_STACKS 16384
#include "stack.h"

/* Running: it could have gone on. Sleeping: a signal would wake it. Waiting: nothing but what it waits for would. */
enum state { running = 0, sleeping = 1, waiting = 2, stopped = 3 };

struct off_cpu_key {
	struct muster_owner owner;
	struct muster_comm comm;
	__u64 stack MUSTER_AS("stack");
	enum state state;
	__u32 pad;
};
MUSTER_COUNTER(off_cpu, struct off_cpu_key, 16384, "ns", "time that tasks spent off a CPU", MUSTER_OWNED);

/* Of tasks that are off a CPU, by pid. One for which there is no room is counted as failed, as 1 ns. */
struct left {
	__u64 at;
	__u64 stack;
	__u64 state;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct left);
} off_cpu_left SEC(".maps");

#define INTERRUPTIBLE 1
#define UNINTERRUPTIBLE 2
#define DEAD 128

static __always_inline __u64 bits_of(const struct task_struct___muster *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return ((const struct task_struct___before_5_14 *)task)->state;
}

static __always_inline void leave(void *ctx, const struct task_struct___muster *task, int preempted)
{
	const __u64 bits = preempted ? 0 : bits_of(task), pid = task->pid;
	struct left left = { .at = bpf_ktime_get_ns() };
	int error;

	/* The idle task has no waits; what has ended does not come back. */
	if (!pid || bits & DEAD || !muster_in_scope(task))
		return;
	left.state = !bits ? running : bits & INTERRUPTIBLE ? sleeping : bits & UNINTERRUPTIBLE ? waiting : stopped;
	left.stack = muster_stack(ctx);
	error = (int)bpf_map_update_elem(&off_cpu_left, &pid, &left, BPF_ANY);
	if (error)
		muster_lose(off_cpu, error, 1);
}

SEC("tp_btf/sched_switch")
int on_sched_switch(__u64 *args) /* preempt, prev, next, prev_state */
{
	const struct task_struct___muster *next = (const void *)args[2];
	const __u64 pid = next->pid;
	struct off_cpu_key key = { 0 };
	struct left *left;
	__u64 spent;

	leave(args, (const void *)args[1], args[0] & 1);
	if (!pid)
		return 0;
	left = bpf_map_lookup_elem(&off_cpu_left, &pid);
	if (!left) /* out of scope, left before the probe was attached, or counted as failed then */
		return 0;
	spent = bpf_ktime_get_ns() - left->at;
	key.owner = muster_owner_of(next);
	key.comm = muster_comm_of(next);
	key.stack = left->stack;
	key.state = left->state;
	if (bpf_map_delete_elem(&off_cpu_left, &pid) == -2) /* ENOENT: cannot be, a task comes back once */
		return 0;
	muster_add(off_cpu, &key, spent);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
