// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A probe as a user might write it, for tests: call number 5000 + 8 × bit + step observes a value near 2^bit, by the
 * atomic forms, in two tables, of which one is keyed by an enum and has a renamed label.
 */
#include "muster.bpf.h"

struct buckets_key {
	__u64 value;
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(buckets, struct buckets_key, 4096, "ns", "values observed");

enum parity { EVEN, ODD };
struct parities_key {
	enum parity parity MUSTER_NAME("kind");
	__u32 pad;
} __attribute__((aligned(8)));
MUSTER_COUNTER(parities, struct parities_key, 4, "bytes", "bytes: even and odd");

SEC("tp_btf/sys_enter")
int on_sys_enter(__u64 *args)
{
	const __u64 number = args[1] - 5000;
	const __u64 top = 1ULL << ((number / 8) & 63);
	struct parities_key parity = { .parity = number & 1 };
	struct buckets_key key = {};

	if (number >= 64 * 8 || !muster_in_scope(muster_task()))
		return 0;
	switch (number & 7) {
	case 0: key.value = top; break;
	case 1: key.value = top - 1; break;
	case 2: key.value = top + 1; break;
	case 3: key.value = top | top >> 1; break;
	case 4: key.value = (top | top >> 1) - 1; break;
	case 5: key.value = top | top >> 2 | top >> 3; break;
	case 6: key.value = top | (top >> 3) * 5; break;
	default: key.value = top | (top - 1); break;
	}
	muster_observe(buckets, &key, key.value);
	muster_add(parities, &parity, 1000);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
