// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets and bytes of network devices, by device, direction and protocol; bytes from the network header on. A packet
 * is what kernel and driver hand each other: up to 64 KiB that the device cuts or has joined. They belong to no task:
 * a scope does not narrow them.
 */
#include "packet.h"

struct net_packets_key {
	__u64 netdev[2] MUSTER_AS("text");
	enum direction direction;
	__u16 protocol MUSTER_AS("ethertype");
	__u16 pad;
};
MUSTER_COUNTER(net_packets, struct net_packets_key, 1024, "packets", "packets that network devices sent and received");
MUSTER_COUNTER(net_bytes, struct net_packets_key, 1024, "bytes", "bytes that network devices sent and received");

static __always_inline int count(const struct sk_buff___muster *skb, enum direction direction)
{
	const muster_word *name = (const void *)&skb->dev->name;
	struct net_packets_key key = { .netdev = { name[0], name[1] }, .direction = direction };

	key.protocol = skb->protocol;
	muster_add(net_packets, &key, 1);
	muster_add(net_bytes, &key, muster_packet_bytes(skb));
	return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int on_net_dev_start_xmit(__u64 *args) /* skb, device */
{
	return count((const void *)args[0], sent);
}

SEC("tp_btf/netif_receive_skb")
int on_netif_receive_skb(__u64 *args) /* skb */
{
	return count((const void *)args[0], received);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
