// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A probe that cannot keep what it needs, for tests: call numbers 6000 … 6099 begin something, each in a place of its
 * own, where there are 16 places; what finds none is lost, by the helper's own error. 6100 … 6199 end it.
 */
#include "muster.bpf.h"

struct ended_key {
	__u64 number;
};
MUSTER_COUNTER(ended, struct ended_key, 256, "calls", "calls that were begun and ended");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u64);
	__type(value, __u64);
} begun SEC(".maps");

SEC("tp_btf/sys_enter")
int on_sys_enter(__u64 *args)
{
	const __u64 number = args[1] - 6000, place = number % 100;
	struct ended_key key = { .number = place };
	int error;

	if (number >= 200 || !muster_in_scope(muster_task()))
		return 0;
	if (number < 100) {
		error = (int)bpf_map_update_elem(&begun, &place, &number, BPF_ANY);
		if (error)
			muster_lose(ended, error, 1);
	} else if (bpf_map_lookup_elem(&begun, &place)) {
		muster_add(ended, &key, 1);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
