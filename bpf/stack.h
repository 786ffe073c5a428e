/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stacks as labels: `__u64 stack MUSTER_AS("stack")` in a key, filled in by muster_stack(ctx), is the hash of the frames;
 * the frames stand once in a map of their own, by that hash, for the keeper to name them. That map holds no count: what
 * it forgets (the least recently used) loses its text, never an event, and is written again when it occurs again.
 * User frames are build id and offset in the file, where the kernel can tell; kernel frames are addresses.
 */
#ifndef MUSTER_STACK_H
#define MUSTER_STACK_H

#include "muster.bpf.h"

#define MUSTER_USER_FRAMES 64
#define MUSTER_KERNEL_FRAMES 48
/* Twice the rows of a table of stacks, those of both slots, unless the probe says otherwise: one takes 2.5 KB. */
#ifndef MUSTER_STACKS
#define MUSTER_STACKS 8192
#endif

/* Innermost frame first. services/loader/object/stack.ts reads it. */
struct muster_stack {
	__u64 user_bytes, kernel_bytes;
	struct bpf_stack_build_id user[MUSTER_USER_FRAMES];
	__u64 kernel[MUSTER_KERNEL_FRAMES];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MUSTER_STACKS);
	__type(key, __u64);
	__type(value, struct muster_stack);
} muster_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct muster_stack);
} muster_stack_scratch SEC(".maps");

static __always_inline __u64 muster_stack_hash(const struct muster_stack *stack)
{
	const __u64 *user = (const void *)stack->user;
	__u64 hash = stack->user_bytes;

	for (__u32 i = 0; i < sizeof(stack->user) / 8; i++) {
		if (i * 8 >= stack->user_bytes)
			break;
		hash = (hash + user[i]) * MUSTER_K;
		hash ^= hash >> 32;
	}
	for (__u32 i = 0; i < MUSTER_KERNEL_FRAMES; i++) {
		if (i * 8 >= stack->kernel_bytes)
			break;
		hash = (hash + stack->kernel[i]) * MUSTER_K;
		hash ^= hash >> 32;
	}
	return hash | 1;
}

/* The current task's stack; 0 where there is none, no room for its frames now, or stacks are left out. */
static __always_inline __u64 muster_stack(void *ctx)
{
	const __u32 zero = 0;
	struct muster_stack *stack = bpf_map_lookup_elem(&muster_stack_scratch, &zero);
	long user, kernel;
	__u64 id;

	if (!stack || *(volatile __u64 *)&muster_control.word[1] & MUSTER_NO_STACKS)
		return 0;
	user = bpf_get_stack(ctx, stack->user, sizeof(stack->user), BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
	kernel = bpf_get_stack(ctx, stack->kernel, sizeof(stack->kernel), 0);
	stack->user_bytes = user > 0 ? user : 0;
	stack->kernel_bytes = kernel > 0 ? kernel : 0;
	if (stack->user_bytes + stack->kernel_bytes == 0)
		return 0;
	id = muster_stack_hash(stack);
	if (bpf_map_lookup_elem(&muster_stacks, &id))
		return id;
	return bpf_map_update_elem(&muster_stacks, &id, stack, BPF_ANY) ? 0 : id;
}

#endif
