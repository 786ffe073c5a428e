// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The life of processes and threads: created (by the name of the task that did it), programs started (by the new
 * name), ended (by the last name, and how). A process ends when its first thread does.
 */
#include "exec.h"

enum task_kind { process = 0, thread = 1 };

struct process_forks_key {
	struct muster_owner owner;
	struct muster_comm comm;
	enum task_kind kind;
	__u32 pad;
};
MUSTER_COUNTER(process_forks, struct process_forks_key, 4096, "tasks", "processes and threads created", MUSTER_OWNED);

struct process_execs_key {
	struct muster_owner owner;
	struct muster_comm comm;
};
MUSTER_COUNTER(process_execs, struct process_execs_key, 4096, "programs", "programs started by exec", MUSTER_OWNED);

struct process_binaries_key {
	MUSTER_REGISTER;
};
MUSTER_DISTINCT(process_binaries, struct process_binaries_key, 16384, "binaries", "different programs started by exec, by path");

struct process_exits_key {
	struct muster_owner owner;
	struct muster_comm comm;
	__u32 status MUSTER_AS("exit");
	enum task_kind kind;
};
MUSTER_COUNTER(process_exits, struct process_exits_key, 4096, "tasks", "processes and threads that ended", MUSTER_OWNED);

SEC("tp_btf/sched_process_fork")
int on_sched_process_fork(__u64 *args) /* parent, child */
{
	const struct task_struct___muster *parent = (const void *)args[0], *child = (const void *)args[1];
	struct process_forks_key key = { .owner = muster_owner_of(parent), .comm = muster_comm_of(parent) };

	if (!muster_in_scope(parent))
		return 0;
	key.kind = child->pid == child->tgid ? process : thread;
	muster_add(process_forks, &key, 1);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int on_sched_process_exec(__u64 *args) /* task, its pid before, bprm */
{
	const struct task_struct___muster *task = (const void *)args[0];
	struct process_execs_key key = { .owner = muster_owner_of(task), .comm = muster_comm_of(task) };
	struct process_binaries_key binary;
	struct muster_path path = {};
	int error;

	if (!muster_in_scope(task))
		return 0;
	muster_add(process_execs, &key, 1);
	error = muster_exec_path(&path, (const void *)args[2]);
	if (error)
		muster_lose(process_binaries, error, 1);
	else
		muster_distinct(process_binaries, &binary, &path);
	return 0;
}

#define SIGNAL_GROUP_EXIT 4 /* include/linux/sched/signal.h: all of the process ends */

/* True while a thread that execs ends the others, the first one among them: the process lives on. */
static __always_inline int lives_on(const struct signal_struct___muster *signal)
{
	if (signal->flags & SIGNAL_GROUP_EXIT)
		return 0;
	if (bpf_core_field_exists(signal->group_exec_task))
		return signal->group_exec_task != 0;
	return ((const struct signal_struct___before_5_17 *)signal)->group_exit_task != 0;
}

SEC("tp_btf/sched_process_exit")
int on_sched_process_exit(__u64 *args) /* task; since 6.16 whether it is the last of its process */
{
	const struct task_struct___muster *task = (const void *)args[0];
	struct process_exits_key key = { .owner = muster_owner_of(task), .comm = muster_comm_of(task) };

	if (!muster_in_scope(task))
		return 0;
	key.kind = task->pid == task->tgid && !lives_on(task->signal) ? process : thread;
	key.status = task->exit_code;
	muster_add(process_exits, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
