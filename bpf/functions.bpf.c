// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Calls of functions in programs and libraries, by name: how many, how long, and what they returned. The loader attaches
 * both programs to each function that was named (functions:/path/to/binary:symbol) with a cookie that tells it apart.
 * A call in progress is known by its thread and its stack pointer, so that recursion and longjmp confuse nothing.
 */
#include "muster.bpf.h"

/* First to last byte: the function's number; which argument (1 to 3) is text, 0 for none. */
#define FUNCTION(cookie) ((cookie) & 0xffff)
#define ARGUMENT(cookie) ((cookie) >> 16 & 3)

struct argument_text {
	__u64 word[4];
};

struct function_calls_key {
	struct muster_owner owner;
	struct muster_comm comm;
	__u64 function MUSTER_AS("function");
	struct argument_text argument MUSTER_AS("text");
};
MUSTER_COUNTER(function_calls, struct function_calls_key, 8192, "calls", "calls of functions", MUSTER_OWNED);

/* Failed: -1 to -4095, as an int or a long. */
enum returned { zero = 0, failed = 1, other = 2 };
struct function_latency_key {
	struct muster_owner owner;
	struct muster_comm comm;
	__u64 function MUSTER_AS("function");
	enum returned returned;
	__u32 pad;
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(function_latency, struct function_latency_key, 8192, "ns", "time in functions", MUSTER_OWNED);

/* When calls that are in progress began. One for which there is no room is counted as failed. */
struct call {
	__u64 thread; /* pid, and the function's number above it */
	__u64 stack;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct call);
	__type(value, __u64);
} functions_begun SEC(".maps");

/* Through the helper: the verifier takes no offset that CO-RE has moved within a program's own context. */
#define REGISTER(regs, x86, arm64)                                                                                   \
	(bpf_core_field_exists(struct pt_regs___x86, orig_ax) ?                                                      \
		 (__u64)BPF_CORE_READ((const struct pt_regs___x86 *)(regs), x86) :                                   \
		 (__u64)BPF_CORE_READ((const struct user_pt_regs___muster *)(regs), arm64))

SEC("uprobe")
int on_call(void *regs)
{
	const struct task_struct___muster *task = muster_task();
	const __u64 cookie = bpf_get_attach_cookie(regs), argument = ARGUMENT(cookie);
	struct function_calls_key key = { 0 };
	struct call call;
	__u64 now;
	int error;

	if (!muster_in_scope(task))
		return 0;
	key.owner = muster_owner_of(task);
	key.comm = muster_comm_of(task);
	key.function = FUNCTION(cookie);
	if (argument) {
		const void *text = (const void *)(argument == 1 ? REGISTER(regs, di, regs[0]) :
						  argument == 2 ? REGISTER(regs, si, regs[1]) :
								  REGISTER(regs, dx, regs[2]));
		/* What cannot be read, such as a page that is not in memory, is an empty text. */
		if (bpf_probe_read_user_str(&key.argument, sizeof(key.argument), text) < 0)
			key.argument = (struct argument_text){ 0 };
	}
	muster_add(function_calls, &key, 1);
	call.thread = key.function << 32 | (__u32)task->pid;
	call.stack = REGISTER(regs, sp, sp);
	now = bpf_ktime_get_ns();
	error = (int)bpf_map_update_elem(&functions_begun, &call, &now, BPF_ANY);
	if (error)
		muster_lose(function_latency, error, 1);
	return 0;
}

SEC("uretprobe")
int on_return(void *regs)
{
	const __u64 now = bpf_ktime_get_ns();
	const struct task_struct___muster *task = muster_task();
	struct function_latency_key key = { 0 };
	struct call call;
	__u64 *begun, spent;
	long value;

	if (!muster_in_scope(task))
		return 0;
	key.function = FUNCTION(bpf_get_attach_cookie(regs));
	call.thread = key.function << 32 | (__u32)task->pid;
	/* x86: the return took its address from the stack. */
	call.stack = bpf_core_field_exists(struct pt_regs___x86, orig_ax) ? REGISTER(regs, sp, sp) - 8 :
											      REGISTER(regs, sp, sp);
	begun = bpf_map_lookup_elem(&functions_begun, &call);
	if (!begun) /* called before the probe was attached, or counted as failed then */
		return 0;
	spent = now - *begun;
	if (bpf_map_delete_elem(&functions_begun, &call) == -2) /* ENOENT: cannot be, the frame is this thread's own */
		return 0;
	value = REGISTER(regs, ax, regs[0]);
	key.owner = muster_owner_of(task);
	key.comm = muster_comm_of(task);
	key.returned = !value || !(int)value ? (value ? other : zero) :
		       (value < 0 && value >= -4095) || ((__u64)value >> 32 == 0 && (int)value < 0 && (int)value >= -4095) ?
				failed :
				other;
	muster_observe(function_latency, &key, spent);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
