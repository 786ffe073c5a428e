/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * muster_caller(regs): the current task, at sys_enter and sys_exit, mostly without a helper call. A call and return
 * within the kernel costs up to 20 ns on a processor that needs its returns protected (3 ns on others): as much as all
 * the rest of counting an event. So each CPU remembers the task it last saw and checks the guess before use, exactly:
 *     a task's user registers lie at one place of its kernel stack, and a stack has one task at a time;
 *     so, if the registers lie where the remembered task's lay, and that task still has that stack, it is the caller.
 * A task that ended has no stack (free_thread_stack clears it); a task_struct used again tells its new owner's stack.
 */
#ifndef MUSTER_CALLER_H
#define MUSTER_CALLER_H

#include "muster.bpf.h"

/* A cache line of its own for each CPU, written by that CPU alone. */
struct muster_remembered {
	__u64 regs;
	__u64 task;
	__u64 stack;
	__u64 pad[5];
};

/* CPUs beyond these ask the helper each time. In a section, whose address stands in the program: no look-up. */
#define MUSTER_REMEMBERING_CPUS 1024
struct muster_remembered muster_callers[MUSTER_REMEMBERING_CPUS] SEC(".bss.callers");

/* Since 6.2; no call in the compiled program, but a check of each load's address. */
extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;
/* A type that came with 6.3, to be asked for in its stead: older kernels cannot test for a function. */
struct bpf_rb_root___muster {
	int any;
} __attribute__((preserve_access_index));
#define MUSTER_TASK_TYPE bpf_core_type_id_kernel(struct task_struct___muster)

static __always_inline const struct task_struct___muster *muster_caller(__u64 regs)
{
	const __u32 cpu = bpf_get_smp_processor_id();
	const struct task_struct___muster *task;
	struct muster_remembered *last;

	if (!bpf_core_type_exists(struct bpf_rb_root___muster) || cpu >= MUSTER_REMEMBERING_CPUS)
		return muster_task();
	last = &muster_callers[cpu];
	/* Whatever address this is, reading through it cannot fault. */
	task = bpf_rdonly_cast((const void *)last->task, MUSTER_TASK_TYPE);
	if (last->regs == regs && (__u64)task->stack == last->stack)
		return task;
	task = bpf_rdonly_cast(muster_task(), MUSTER_TASK_TYPE);
	last->regs = regs;
	last->task = (__u64)task;
	last->stack = (__u64)task->stack;
	return task;
}

#endif
