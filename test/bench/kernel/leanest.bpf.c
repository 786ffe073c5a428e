// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The leanest common way to count system calls: one shared hash keyed by the number alone, added to atomically. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} counts SEC(".maps");

SEC("tp_btf/sys_enter")
int on_leanest(__u64 *args)
{
	const __u64 zero = 0, syscall = args[1];
	__u64 *count = bpf_map_lookup_elem(&counts, &syscall);

	if (!count) {
		bpf_map_update_elem(&counts, &syscall, &zero, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&counts, &syscall);
		if (!count)
			return 0;
	}
	__sync_fetch_and_add(count, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
