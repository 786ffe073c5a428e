// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Page faults of programs, by name and what was tried: those that the processor raised in user mode, whether the page
 * had to be read, made or only mapped. Faults of the kernel on a program's behalf are not among them.
 */
#include "muster.bpf.h"

enum access { read = 0, write = 1, execute = 2 };
struct page_faults_key {
	struct muster_owner owner;
	struct muster_comm comm;
	enum access access;
	__u32 pad;
};
MUSTER_COUNTER(page_faults, struct page_faults_key, 8192, "faults", "page faults raised in user mode", MUSTER_OWNED);

/* arch/x86/include/asm/trap_pf.h; only x86 has this tracepoint in all supported kernels. */
#define PF_WRITE 2
#define PF_INSTR 16

SEC("tp_btf/page_fault_user")
int on_page_fault_user(__u64 *args) /* address, regs, error code */
{
	const struct task_struct___muster *task = muster_task();
	struct page_faults_key key = { .owner = muster_owner_of(task), .comm = muster_comm_of(task) };

	if (!muster_in_scope(task))
		return 0;
	key.access = args[2] & PF_INSTR ? execute : args[2] & PF_WRITE ? write : read;
	muster_add(page_faults, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
