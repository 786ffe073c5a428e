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
	unsigned long long last_arrival; /* when it was last switched in */
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

/* A task's place in one controller's hierarchy, v1 or v2. */
struct cgroup_subsys_state___muster {
	struct cgroup___muster *cgroup;
};

struct css_set___muster {
	struct cgroup_subsys_state___muster *subsys[0]; /* by enum cgroup_subsys_id */
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
	__u64 sum_exec_runtime; /* ns on a CPU since fork, in any scheduling class */
};

struct signal_struct___muster {
	unsigned int flags;
	struct task_struct___muster *group_exec_task; /* a thread that execs and waits for the others to end */
};

/* Its name before 5.17. */
struct signal_struct___before_5_17 {
	struct task_struct___muster *group_exit_task;
};

struct task_struct___muster {
	struct thread_info___muster thread_info;
	void *stack; /* kernel stack; null once the task has ended */
	char comm[16];
	int pid;  /* of the thread */
	int tgid; /* of the process: its first thread's pid */
	int exit_code; /* as wait() gives it: signal, 0x80 if it dumped core, exit status << 8 */
	unsigned int __state; /* 0 while it can run */
	struct signal_struct___muster *signal;
	struct sched_entity___muster se;
	struct sched_info___muster sched_info;
	struct css_set___muster *cgroups;
};

/* Its name before 5.14. */
struct task_struct___before_5_14 {
	long state;
};

struct linux_binprm___muster {
	const char *filename; /* as given to execve */
};

struct irqaction___muster {
	const char *name; /* as in /proc/interrupts */
};

struct gendisk___muster {
	char disk_name[32];
};

struct request_queue___muster {
	struct gendisk___muster *disk; /* since 5.15 */
};

struct request___muster {
	struct request_queue___muster *q;
	unsigned int cmd_flags;  /* enum req_op in the lowest 8 bits */
	unsigned int __data_len; /* bytes that are not done yet */
};

/* Before 5.17 the disk was the request's own. */
struct request___before_5_17 {
	struct gendisk___muster *rq_disk;
};

/* Registers at a system call: which one it is, after the call too. Each of the two exists on its own machine. */
struct pt_regs___x86 {
	long orig_ax;
	unsigned long ax, di, si, dx, sp;
};

/* What a uprobe's program gets on arm64. */
struct user_pt_regs___muster {
	__u64 regs[31];
	__u64 sp;
};

struct pt_regs___arm64 {
	int syscallno;
};

struct net_device___muster {
	char name[16];
};

struct sk_buff___muster {
	struct net_device___muster *dev;
	unsigned int len;
	unsigned int data_len; /* of it, what lies in fragments */
	unsigned char *head, *data;
	__u16 network_header; /* from head on */
	__u16 protocol; /* EtherType, in network order */
};

struct sock_common___muster {
	__u32 skc_daddr; /* addresses and ports of the other end, in network order */
	__u16 skc_dport;
	__u16 skc_num; /* own port, in host order */
	unsigned short skc_family;
	struct {
		__u8 bytes[16];
	} skc_v6_daddr;
};

struct sock_cgroup_data___muster {
	struct cgroup___muster *cgroup; /* since 5.15 */
};

struct sock___muster {
	struct sock_common___muster __sk_common;
	__u16 sk_protocol;
	int sk_err; /* why it failed, a positive errno */
	struct sock_cgroup_data___muster sk_cgrp_data;
};

struct tcp_sock___muster {
	__u32 srtt_us; /* smoothed round trip time in eighths of a microsecond */
};

#pragma clang attribute pop

#endif
