// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Processes that the kernel chose to kill for want of memory, of the host or of a cgroup, by name. Kernels tell the
 * task itself since 6.8; before, only its pid, and the loader reports the probe as missing.
 */
#include "muster.bpf.h"

struct oom_kills_key {
	struct muster_owner owner;
	struct muster_comm comm;
};
MUSTER_COUNTER(oom_kills, struct oom_kills_key, 1024, "kills", "processes killed for want of memory", MUSTER_OWNED);

SEC("tp_btf/mark_victim")
int on_mark_victim(__u64 *args) /* task, uid */
{
	const struct task_struct___muster *victim = (const void *)args[0];
	struct oom_kills_key key = { .owner = muster_owner_of(victim), .comm = muster_comm_of(victim) };

	if (!muster_in_scope(victim))
		return 0;
	muster_add(oom_kills, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
