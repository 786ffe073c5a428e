// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who talks most: bytes by the other end's address, the service's port and direction, from the network header on. A
 * sketch, for there are more peers than rows: who carries much has an exact row from then on, and every row says how
 * much more it may have had before. Packets that are not IP, or whose headers are not at hand, are those of peer "::".
 */
#include "packet.h"

struct top_talkers_key {
	struct muster_address peer MUSTER_AS("ipv6");
	__u64 port MUSTER_AS("port");
	enum direction direction;
	__u32 pad;
	MUSTER_CELL;
};
MUSTER_HEAVY(top_talkers, struct top_talkers_key, 16384, "bytes", "bytes by peer and port, the largest exactly");

static __always_inline int count(const struct sk_buff___muster *skb, enum direction direction)
{
	struct top_talkers_key key = { .direction = direction };
	struct muster_ends ends = {};

	if (!muster_read_ends(&ends, skb)) {
		key.peer = direction == sent ? ends.destination : ends.source;
		key.port = ends.source_port < ends.destination_port ? ends.source_port : ends.destination_port;
	}
	muster_add_heavy(top_talkers, &key, muster_packet_bytes(skb));
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
