// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The same calls counted by three kinds of hook, of which a kernel may lack the last two: a probe that says what it
 * could have more of. getppid, of which the test makes a known number, by name.
 */
#include "muster.bpf.h"

struct upgrade_key {
	struct muster_comm comm;
};
MUSTER_COUNTER(upgrade_base, struct upgrade_key, 1024, "calls", "getppid, by a tracepoint");
MUSTER_COUNTER(upgrade_fentry, struct upgrade_key, 1024, "calls", "getppid, by fentry");
MUSTER_COUNTER(upgrade_kprobe, struct upgrade_key, 1024, "calls", "getppid, by a kprobe");

#define GETPPID 110 /* x86-64; 32-bit calls of this number are fstat, which no test makes */

SEC("tp_btf/sys_enter")
int on_sys_enter(__u64 *args) /* regs, id */
{
	struct upgrade_key key;

	if (args[1] != GETPPID)
		return 0;
	key.comm = muster_comm();
	muster_add(upgrade_base, &key, 1);
	return 0;
}

SEC("?fentry/__do_sys_getppid")
int on_fentry(void *ctx)
{
	struct upgrade_key key = { .comm = muster_comm() };

	muster_add(upgrade_fentry, &key, 1);
	return 0;
}

SEC("?kprobe/__do_sys_getppid")
int on_kprobe(void *ctx)
{
	struct upgrade_key key = { .comm = muster_comm() };

	muster_add(upgrade_kprobe, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
