// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets that the kernel dropped, by its own reason and by protocol. Reasons are numbered differently in each kernel:
 * the loader asks the running one for their names. They belong to no task: a scope does not narrow them. Kernels give
 * a reason since 5.17.
 */
#include "muster.bpf.h"

/* Its values come from the running kernel. */
enum skb_drop_reason___muster { not_dropped = 0 };

struct packet_drops_key {
	enum skb_drop_reason___muster reason MUSTER_AS("drop_reason");
	__u16 protocol MUSTER_AS("ethertype");
	__u16 pad;
} __attribute__((aligned(8)));
MUSTER_COUNTER(packet_drops, struct packet_drops_key, 4096, "packets", "packets dropped by the kernel");

SEC("tp_btf/kfree_skb")
int on_kfree_skb(__u64 *args) /* skb, where, reason; since 6.11 the receiving socket */
{
	const struct sk_buff___muster *skb = (const void *)args[0];
	struct packet_drops_key key = { 0 };

	key.reason = (__u32)args[2];
	key.protocol = skb->protocol;
	muster_add(packet_drops, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
