/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel structs that Muster's probes read, with the few members they read. CO-RE (preserve_access_index)
 * finds each member's offset in the running kernel's BTF when the object is loaded; nothing here is a layout.
 * The suffix ___muster is dropped by CO-RE when it looks for a type's name: it keeps these declarations apart from
 * a vmlinux.h, should a probe include one as well.
 */
#ifndef MUSTER_KERNEL_H
#define MUSTER_KERNEL_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* x86 only: bit 1 of status (TS_COMPAT) is set while a 32-bit system call is handled. */
struct thread_info___muster {
	__u32 status;
};

/* kernel/sched/stats.h: times in ns of the run queue's clock, all zero at fork. */
struct sched_info___muster {
	unsigned long pcount;           /* times switched in after waiting */
	unsigned long long run_delay;   /* time spent waiting, up to the last switch in or migration */
	unsigned long long last_queued; /* when the present wait began; 0 when it does not wait */
};

struct kernfs_node___muster {
	__u64 id; /* inode number of the cgroup's directory */
};

struct cgroup___muster {
	int level;
	struct kernfs_node___muster *kn;
	struct cgroup___muster *ancestors[]; /* by level, itself included */
};

struct css_set___muster {
	struct cgroup___muster *dfl_cgrp; /* place in the cgroup v2 hierarchy */
};

/* The CPU's run queue, from any task that is on it; needs CONFIG_FAIR_GROUP_SCHED, for real-time tasks too. */
struct rq___muster {
	__u64 clock; /* ns, brought up to date before each switch */
};

struct cfs_rq___muster {
	struct rq___muster *rq;
};

struct sched_entity___muster {
	struct cfs_rq___muster *cfs_rq;
};

struct task_struct___muster {
	struct thread_info___muster thread_info;
	void *stack; /* kernel stack; null once the task has ended */
	char comm[16];
	int pid;
	struct sched_entity___muster se;
	struct sched_info___muster sched_info;
	struct css_set___muster *cgroups;
};

#pragma clang attribute pop

#endif
