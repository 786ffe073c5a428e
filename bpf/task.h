/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The current task, its name, and whether it is to be counted. */
#ifndef MUSTER_TASK_H
#define MUSTER_TASK_H

#include "kernel.h"
#include "row.h"

/* What to count: the subtree of the cgroup v2 directory with this inode number at this depth; depth 0: everything. */
const volatile __u64 muster_scope_id = 0;
const volatile __u32 muster_scope_level = 0;

/* On hosts without cgroup v2: 1 + the number of the controller whose v1 hierarchy is meant. */
const volatile __u32 muster_cgroup_v1 = 0;

/*
 * Whose event it is, as far as the labels chosen for the probe need it; the rest is zero. First in a key, and the table
 * declared with MUSTER_OWNED.
 */
struct muster_owner {
	__u64 cgroup; /* inode number of its directory */
	__u64 process; /* tgid */
};

/* On a key's owner that is a socket's, which knows the cgroup (version 2) and no process: other labels are refused. */
#define MUSTER_OF_SOCKET __attribute__((btf_decl_tag("muster:owner:socket")))

/* A task's name, as two words of text, zero-padded. */
struct muster_comm {
	__u64 word[2];
};

/* The task that runs now. Its members are read like any struct's, without a helper call each. */
static __always_inline const struct task_struct___muster *muster_task(void)
{
	return (const void *)bpf_get_current_task_btf();
}

/*
 * A task's name as it is now. Two loads, against a helper call and a copy (30 ns). Names are padded with zeros by the
 * kernel; one that another thread changes in this instant may be read half old, half new.
 */
static __always_inline struct muster_comm muster_comm_of(const struct task_struct___muster *task)
{
	const muster_word *text = (const void *)&task->comm;

	return (struct muster_comm){ { text[0], text[1] } };
}

static __always_inline struct muster_comm muster_comm(void)
{
	return muster_comm_of(muster_task());
}

/* True if a cgroup v2 group is the scope or lies below it. */
static __always_inline int muster_group_in_scope(const struct cgroup___muster *group)
{
	const struct cgroup___muster *ancestor;
	__u64 id;

	if (group->level < (int)muster_scope_level)
		return 0;
	/* ancestors is of open length, which the verifier lets no program index: read on by helper. */
	if (bpf_probe_read_kernel(&ancestor, sizeof(ancestor), &group->ancestors[muster_scope_level]) ||
	    BPF_CORE_READ_INTO(&id, ancestor, kn, id))
		return 0;
	return id == muster_scope_id;
}

/* True if the task belongs to the scope; where the scope is the whole host the verifier removes all of it. */
static __always_inline int muster_in_scope(const struct task_struct___muster *task)
{
	return muster_scope_level == 0 || muster_group_in_scope(task->cgroups->dfl_cgrp);
}

static __always_inline __u64 muster_cgroup_of(const struct task_struct___muster *task)
{
	const struct cgroup_subsys_state___muster *state;
	__u64 id;

	if (muster_cgroup_v1 == 0)
		return task->cgroups->dfl_cgrp->kn->id;
	/* As above: the number of controllers differs between kernels. */
	if (bpf_probe_read_kernel(&state, sizeof(state), &task->cgroups->subsys[(muster_cgroup_v1 - 1) & 31]) ||
	    BPF_CORE_READ_INTO(&id, state, cgroup, kn, id))
		return 0;
	return id;
}

static __always_inline struct muster_owner muster_owner_of(const struct task_struct___muster *task)
{
	const __u32 parts = muster_owner_parts;
	struct muster_owner owner = { 0 };

	if (parts & 1)
		owner.cgroup = muster_cgroup_of(task);
	if (parts & 2)
		owner.process = task->tgid;
	return owner;
}

static __always_inline struct muster_owner muster_owner(void)
{
	return muster_owner_of(muster_task());
}

#endif
