// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The same tasks done as they commonly are, and as articles print them: one program each, on the same hook and calls as
 * ours.bpf.c. No names, no ledgers: less work than ours.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "counted.h"

#define MAP(map_name, map_type, entries, value_type)                                                                 \
	struct {                                                                                                     \
		__uint(type, map_type);                                                                              \
		__uint(max_entries, entries);                                                                        \
		__type(key, __u64);                                                                                  \
		__type(value, value_type);                                                                           \
	} map_name SEC(".maps")

MAP(shared, BPF_MAP_TYPE_HASH, 16384, __u64);
MAP(per_cpu, BPF_MAP_TYPE_PERCPU_HASH, 16384, __u64);
MAP(printed, BPF_MAP_TYPE_HASH, 16384, __u64);
MAP(updated, BPF_MAP_TYPE_HASH, 16384, __u64);
MAP(any, BPF_MAP_TYPE_HASH, 131072, __u64);
MAP(evicting, BPF_MAP_TYPE_LRU_HASH, 30000, __u64);
MAP(seen, BPF_MAP_TYPE_HASH, 22000, __u64);
MAP(kinds, BPF_MAP_TYPE_HASH, 16384, __u64);

struct inner {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} inner SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { &inner } };

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 22000);
	__uint(value_size, 8);
} bloom SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

struct ten {
	__u64 point[10];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ten);
} batches SEC(".maps");

struct word {
	__u64 value;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct word);
} words SEC(".maps");
enum { RACY, ATOMIC, RING_KEPT, RING_LOST, FIRSTS };

static __always_inline __u64 *word(__u32 at)
{
	return bpf_map_lookup_elem(&words, &at);
}

/* As printed: looks up, and writes back what it found. */
SEC("?tp_btf/sys_enter")
int on_printed(__u64 *args)
{
	const __u64 key = args[1];
	__u64 *value;

	if (!COUNTED(key))
		return 0;
	value = bpf_map_lookup_elem(&printed, &key);
	if (value)
		bpf_map_update_elem(&printed, &key, value, BPF_ANY);
	return 0;
}

/* The same made to count: looks up, writes one more. */
SEC("?tp_btf/sys_enter")
int on_updated(__u64 *args)
{
	const __u64 key = args[1];
	__u64 *value, next;

	if (!COUNTED(key))
		return 0;
	value = bpf_map_lookup_elem(&updated, &key);
	next = value ? *value + 1 : 1;
	bpf_map_update_elem(&updated, &key, &next, BPF_ANY);
	return 0;
}

/* As printed: keeps the key itself where nothing is, and writes back what it found. */
SEC("?tp_btf/sys_enter")
int on_checkpoint(__u64 *args)
{
	const __u64 key = args[1];
	__u64 *value;

	if (!COUNTED(key))
		return 0;
	value = bpf_map_lookup_elem(&printed, &key);
	if (value)
		bpf_map_update_elem(&printed, &key, value, BPF_ANY);
	else
		bpf_map_update_elem(&printed, &key, &key, BPF_NOEXIST);
	return 0;
}

/* As printed: raises all ten cells of its row, and writes the row back onto itself. */
SEC("?tp_btf/sys_enter")
int on_batch(__u64 *args)
{
	const __u32 key = args[1] & 4095;
	struct ten *batch;

	if (!COUNTED(args[1]))
		return 0;
	batch = bpf_map_lookup_elem(&batches, &key);
	if (!batch)
		return 0;
	for (int i = 0; i < 10; i++)
		batch->point[i] += 1;
	bpf_map_update_elem(&batches, &key, batch, BPF_ANY);
	return 0;
}

#define ADD(map, flags, add)                                                                                         \
	const __u64 key = args[1], zero = 0;                                                                         \
	__u64 *value;                                                                                                \
                                                                                                                     \
	if (!COUNTED(key))                                                                                           \
		return 0;                                                                                            \
	value = bpf_map_lookup_elem(map, &key);                                                                      \
	if (!value) {                                                                                                \
		bpf_map_update_elem(map, &key, &zero, flags);                                                        \
		value = bpf_map_lookup_elem(map, &key);                                                              \
	}                                                                                                            \
	if (value)                                                                                                   \
		add;                                                                                                 \
	return 0

SEC("?tp_btf/sys_enter")
int on_shared(__u64 *args)
{
	ADD(&shared, BPF_NOEXIST, __sync_fetch_and_add(value, 1));
}

/* Two CPUs that both find no row both write one: the second takes the first one's count away. */
SEC("?tp_btf/sys_enter")
int on_any(__u64 *args)
{
	ADD(&any, BPF_ANY, __sync_fetch_and_add(value, 1));
}

SEC("?tp_btf/sys_enter")
int on_per_cpu(__u64 *args)
{
	ADD(&per_cpu, BPF_NOEXIST, *value += 1);
}

SEC("?tp_btf/sys_enter")
int on_map_in_map(__u64 *args)
{
	const __u32 slot = 0;
	void *map = bpf_map_lookup_elem(&outer, &slot);

	if (!map)
		return 0;
	ADD(map, BPF_NOEXIST, *value += 1);
}

SEC("?tp_btf/sys_enter")
int on_evicting(__u64 *args)
{
	ADD(&evicting, BPF_NOEXIST, __sync_fetch_and_add(value, key % 1000 ? 1 : 10000));
}

SEC("?tp_btf/sys_enter")
int on_kinds(__u64 *args)
{
	ADD(&kinds, BPF_NOEXIST, __sync_fetch_and_add(value, 1));
}

/* A value that the filter does not know is put into it and counted as a first one. */
SEC("?tp_btf/sys_enter")
int on_bloom(__u64 *args)
{
	__u64 value = args[1], *firsts;

	if (!COUNTED(value) || !bpf_map_peek_elem(&bloom, &value))
		return 0;
	bpf_map_push_elem(&bloom, &value, BPF_ANY);
	firsts = word(FIRSTS);
	if (firsts)
		__sync_fetch_and_add(firsts, 1);
	return 0;
}

SEC("?tp_btf/sys_enter")
int on_seen(__u64 *args)
{
	const __u64 key = args[1], one = 1;
	__u64 *firsts;

	if (!COUNTED(key) || bpf_map_lookup_elem(&seen, &key))
		return 0;
	bpf_map_update_elem(&seen, &key, &one, BPF_NOEXIST);
	firsts = word(FIRSTS);
	if (firsts)
		__sync_fetch_and_add(firsts, 1);
	return 0;
}

SEC("?tp_btf/sys_enter")
int on_racy(__u64 *args)
{
	__u64 *value = word(RACY);

	/* A volatile access each way, as compilers make of `+=` where they cannot do better. */
	if (COUNTED(args[1]) && value)
		*(volatile __u64 *)value += 1;
	return 0;
}

SEC("?tp_btf/sys_enter")
int on_atomic(__u64 *args)
{
	__u64 *value = word(ATOMIC);

	if (COUNTED(args[1]) && value)
		__sync_fetch_and_add(value, 1);
	return 0;
}

/* An event to user space for each call. */
SEC("?tp_btf/sys_enter")
int on_ring(__u64 *args)
{
	struct {
		__u64 number, time, task;
	} event = { .number = args[1] };
	__u64 *kept = word(RING_KEPT), *lost = word(RING_LOST);

	if (!COUNTED(event.number) || !kept || !lost)
		return 0;
	event.time = bpf_ktime_get_ns();
	event.task = bpf_get_current_pid_tgid();
	__sync_fetch_and_add(bpf_ringbuf_output(&ring, &event, sizeof(event), 0) ? lost : kept, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
