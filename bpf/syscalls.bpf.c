// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* System calls entered, by number and by the name of the calling task as it is at the call. */
#include "muster.bpf.h"
#include "caller.h"

struct syscalls_key {
	struct muster_owner owner;
	/* A 32-bit call (int 0x80, compat) has bit 31 set: its numbers are another table's. x32 calls carry bit 30. */
	__u64 syscall MUSTER_AS("syscall");
	struct muster_comm comm;
};
MUSTER_COUNTER(syscalls, struct syscalls_key, 16384, "calls", "system calls entered", MUSTER_OWNED);

#define TS_COMPAT 2 /* arch/x86/include/asm/thread_info.h */
#define COMPAT_CALL (1ULL << 31)

SEC("tp_btf/sys_enter")
int on_sys_enter(__u64 *args) /* regs, id */
{
	const struct task_struct___muster *task = muster_caller(args[0]);
	struct syscalls_key key;

	if (!muster_in_scope(task))
		return 0;
	if (muster_spared_sole(syscalls, 1))
		return 0;
	key.owner = muster_owner_of(task);
	key.syscall = args[1];
	if (bpf_core_field_exists(task->thread_info.status) && (task->thread_info.status & TS_COMPAT))
		key.syscall |= COMPAT_CALL;
	key.comm = muster_comm_of(task);
	/*
	 * Sole writer: this program alone writes the table, and the kernel skips (and counts as recursion_misses) a
	 * tp_btf program that is entered on a CPU where it already runs (prog->active, per CPU, since 6.1), so that
	 * neither an interrupt nor a preempting task can come between the load and the store of a cell.
	 */
	muster_add_sole(syscalls, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
