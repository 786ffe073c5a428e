// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long system calls took, by number and the caller's name; waiting is part of it. Two clock reads a call: choose it
 * where that is worth it. Calls that do not come back (exit, the exec of another thread) have no time.
 */
#include "call.h"
#include "caller.h"

struct syscall_latency_key {
	struct muster_owner owner;
	__u64 syscall MUSTER_AS("syscall");
	struct muster_comm comm;
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(syscall_latency, struct syscall_latency_key, 32768, "ns", "time in system calls", MUSTER_OWNED);

/*
 * When each thread's call was entered, by the low 16 bits of its pid, one word each, so that two threads that share a
 * place can neither tear it nor be taken for one another:
 *     ns since boot (57 bits) | 1 | pid >> 16 (6 bits, as pids have at most 22)
 * 0 ns: no call has been entered since the probe was attached, or it has been counted.
 */
#define PLACES 65536
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLACES);
	__type(key, __u32);
	__type(value, __u64);
} syscall_entered SEC(".maps");

static __always_inline __u64 *place_of(__u32 pid)
{
	const __u32 at = pid % PLACES;

	return bpf_map_lookup_elem(&syscall_entered, &at);
}

static __always_inline __u64 tag_of(__u32 pid)
{
	return 64 | (pid / PLACES);
}

SEC("tp_btf/sys_enter")
int on_sys_enter(__u64 *args) /* regs, id */
{
	const struct task_struct___muster *task = muster_caller(args[0]);
	const __u32 pid = task->pid;
	__u64 *place;

	if (!muster_in_scope(task))
		return 0;
	place = place_of(pid);
	if (place)
		*place = bpf_ktime_get_ns() << 7 | tag_of(pid);
	return 0;
}

SEC("tp_btf/sys_exit")
int on_sys_exit(__u64 *args) /* regs, result */
{
	const struct task_struct___muster *task = muster_caller(args[0]);
	const __u32 pid = task->pid;
	struct syscall_latency_key key;
	__u64 *place, entered;

	if (!muster_in_scope(task))
		return 0;
	place = place_of(pid);
	if (!place)
		return 0;
	entered = *place;
	if (!entered)
		return 0;
	if ((entered & 127) != tag_of(pid)) { /* another thread, with a pid that agrees in 16 bits, came in between */
		muster_lose(syscall_latency, 0, 1);
		return 0;
	}
	*place = tag_of(pid);
	if (!(entered >> 7)) /* a new thread comes back from a call that its parent entered */
		return 0;
	key.syscall = muster_call((const void *)args[0], task);
	if (key.syscall == MUSTER_NO_CALL)
		return 0;
	key.owner = muster_owner_of(task);
	key.comm = muster_comm_of(task);
	muster_observe(syscall_latency, &key, (bpf_ktime_get_ns() << 7 >> 7) - (entered >> 7));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
