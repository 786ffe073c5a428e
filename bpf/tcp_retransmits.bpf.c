// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What TCP sent again, by the service's port and where to; tries to open a connection are among it. A retransmission
 * may be of several segments at once, which /proc/net/snmp counts one by one (RetransSegs).
 */
#include "socket.h"

struct tcp_retransmits_key {
	struct muster_owner owner MUSTER_OF_SOCKET;
	__u64 port MUSTER_AS("port");
	struct muster_prefix peer MUSTER_AS("prefix");
};
MUSTER_COUNTER(tcp_retransmits, struct tcp_retransmits_key, 8192, "retransmits", "retransmissions of TCP", MUSTER_OWNED);

SEC("tp_btf/tcp_retransmit_skb")
int on_tcp_retransmit_skb(__u64 *args) /* sk, skb; since 6.16 the error */
{
	const struct sock___muster *sk = (const void *)args[0];
	struct tcp_retransmits_key key;

	if (!muster_tcp_in_scope(sk))
		return 0;
	key.owner = muster_owner_of_socket(sk);
	key.port = muster_service_port(sk);
	key.peer = muster_peer(sk);
	muster_add(tcp_retransmits, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
