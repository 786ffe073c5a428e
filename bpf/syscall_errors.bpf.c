// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * System calls that failed, by number, error and the caller's name. An error above 511 is one of the kernel's own: a
 * signal came, after which the call is repeated or ends with EINTR.
 */
#include "call.h"
#include "caller.h"

struct syscall_errors_key {
	struct muster_owner owner;
	__u64 syscall MUSTER_AS("syscall");
	__u64 errno MUSTER_AS("errno");
	struct muster_comm comm;
};
MUSTER_COUNTER(syscall_errors, struct syscall_errors_key, 8192, "calls", "system calls that failed", MUSTER_OWNED);

#define MAX_ERRNO 4095

SEC("tp_btf/sys_exit")
int on_sys_exit(__u64 *args) /* regs, result */
{
	const __u64 error = -args[1];
	const struct task_struct___muster *task;
	struct syscall_errors_key key;

	if (error - 1 >= MAX_ERRNO)
		return 0;
	task = muster_caller(args[0]);
	if (!muster_in_scope(task))
		return 0;
	key.syscall = muster_call((const void *)args[0], task);
	if (key.syscall == MUSTER_NO_CALL)
		return 0;
	key.errno = error;
	key.owner = muster_owner_of(task);
	key.comm = muster_comm_of(task);
	muster_add(syscall_errors, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
