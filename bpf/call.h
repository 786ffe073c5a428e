/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which system call a task is in, at sys_exit, as the meaning "syscall" has it. */
#ifndef MUSTER_CALL_H
#define MUSTER_CALL_H

#include "muster.bpf.h"

#define MUSTER_TS_COMPAT 2 /* arch/x86/include/asm/thread_info.h */
#define MUSTER_COMPAT_CALL (1ULL << 31)
#define MUSTER_NO_CALL (~0ULL)

/* MUSTER_NO_CALL at the end of a signal handler (rt_sigreturn), whose result is another call's. */
static __always_inline __u64 muster_call(const void *regs, const struct task_struct___muster *task)
{
	const struct pt_regs___x86 *x86 = regs;
	const struct pt_regs___arm64 *arm64 = regs;
	long number;

	if (bpf_core_field_exists(x86->orig_ax))
		number = x86->orig_ax;
	else
		number = arm64->syscallno;
	if (number < 0)
		return MUSTER_NO_CALL;
	if (bpf_core_field_exists(task->thread_info.status) && (task->thread_info.status & MUSTER_TS_COMPAT))
		return (__u64)number | MUSTER_COMPAT_CALL;
	return number;
}

#endif
