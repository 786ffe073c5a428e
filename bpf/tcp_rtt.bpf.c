// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The round trip time of TCP connections as TCP has smoothed it, at each segment that an open connection receives, by
 * the service's port and where to. Busy connections thus weigh more than quiet ones.
 */
#include "socket.h"

struct tcp_rtt_key {
	struct muster_owner owner MUSTER_OF_SOCKET;
	__u64 port MUSTER_AS("port");
	struct muster_prefix peer MUSTER_AS("prefix");
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(tcp_rtt, struct tcp_rtt_key, 16384, "us", "smoothed round trip time, at each segment received", MUSTER_OWNED);

SEC("tp_btf/tcp_probe")
int on_tcp_probe(__u64 *args) /* sk, skb */
{
	const struct sock___muster *sk = (const void *)args[0];
	const struct tcp_sock___muster *tcp = (const void *)args[0];
	struct tcp_rtt_key key;
	__u32 srtt;

	if (!muster_tcp_in_scope(sk))
		return 0;
	if (BPF_CORE_READ_INTO(&srtt, tcp, srtt_us)) {
		muster_lose(tcp_rtt, 0, 1);
		return 0;
	}
	if (!srtt) /* not measured yet */
		return 0;
	key.owner = muster_owner_of_socket(sk);
	key.port = muster_service_port(sk);
	key.peer = muster_peer(sk);
	muster_observe(tcp_rtt, &key, srtt >> 3);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
