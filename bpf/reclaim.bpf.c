// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Memory reclaimed by the very tasks that asked for memory: how long each time held them up, and pages freed, by name
 * and by what was short: the host's memory, or the limit of a cgroup.
 */
#include "muster.bpf.h"

enum shortage { host = 0, cgroup = 1 };

struct reclaim_key {
	struct muster_owner owner;
	struct muster_comm comm;
	enum shortage shortage;
	__u32 pad;
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(reclaim, struct reclaim_key, 8192, "ns", "time that tasks spent on reclaiming memory", MUSTER_OWNED);

struct reclaimed_pages_key {
	struct muster_owner owner;
	struct muster_comm comm;
	enum shortage shortage;
	__u32 pad;
};
MUSTER_COUNTER(reclaimed_pages, struct reclaimed_pages_key, 2048, "pages", "pages that tasks reclaimed", MUSTER_OWNED);

/* When tasks that are at it began, by pid. One for which there is no room is counted as failed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} reclaim_begun SEC(".maps");

static __always_inline int begin(void)
{
	const struct task_struct___muster *task = muster_task();
	const __u64 now = bpf_ktime_get_ns(), pid = task->pid;
	int error;

	if (!muster_in_scope(task))
		return 0;
	error = (int)bpf_map_update_elem(&reclaim_begun, &pid, &now, BPF_ANY);
	if (error)
		muster_lose(reclaim, error, 1);
	return 0;
}

static __always_inline int end(__u64 pages, enum shortage shortage)
{
	const struct task_struct___muster *task = muster_task();
	const __u64 pid = task->pid, *begun = bpf_map_lookup_elem(&reclaim_begun, &pid);
	struct reclaim_key key = { .owner = muster_owner_of(task), .comm = muster_comm_of(task), .shortage = shortage };
	struct reclaimed_pages_key freed = { .owner = key.owner, .comm = key.comm, .shortage = shortage };
	__u64 spent;

	if (!begun) /* before the probe was attached, outside the scope, or counted as failed then */
		return 0;
	spent = bpf_ktime_get_ns() - *begun;
	if (bpf_map_delete_elem(&reclaim_begun, &pid) == -2) /* ENOENT: cannot be, a task does one thing at a time */
		return 0;
	if (pages)
		muster_add(reclaimed_pages, &freed, pages);
	muster_observe(reclaim, &key, spent);
	return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int on_direct_reclaim_begin(__u64 *args __attribute__((unused))) /* order, flags */
{
	return begin();
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int on_direct_reclaim_end(__u64 *args) /* pages */
{
	return end(args[0], host);
}

/* Kernels without memory cgroups have no such tracepoints. */
SEC("?tp_btf/mm_vmscan_memcg_reclaim_begin")
int on_memcg_reclaim_begin(__u64 *args __attribute__((unused))) /* order, flags */
{
	return begin();
}

SEC("?tp_btf/mm_vmscan_memcg_reclaim_end")
int on_memcg_reclaim_end(__u64 *args) /* pages */
{
	return end(args[0], cgroup);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
