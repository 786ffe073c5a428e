/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What TCP's probes say of a connection: the other end, the service's port, and whether it is to be counted. */
#ifndef MUSTER_SOCKET_H
#define MUSTER_SOCKET_H

#include "muster.bpf.h"
#include "address.h"

#define MUSTER_IPPROTO_TCP 6
#define MUSTER_AF_INET 2
#define MUSTER_AF_INET6 10

/* An address of 16 bytes in network order, IPv4 as ::ffff:a.b.c.d, without its last bits: /24 of IPv4, /48 of IPv6. */
struct muster_prefix {
	__u64 word[2];
};

/* TCP over IP, in the scope by the cgroup of the task that made the socket. */
static __always_inline int muster_tcp_in_scope(const struct sock___muster *sk)
{
	if (sk->sk_protocol != MUSTER_IPPROTO_TCP)
		return 0;
	if (muster_scope_level == 0)
		return 1;
	if (!bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return 0;
	return muster_group_in_scope(sk->sk_cgrp_data.cgroup);
}

/*
 * Whose socket it is, where the task that runs may be anybody's, such as the one that an interrupt came upon: the cgroup
 * (version 2) of the task that made it. Sockets know no process.
 */
static __always_inline struct muster_owner muster_owner_of_socket(const struct sock___muster *sk)
{
	struct muster_owner owner = { 0 };

	if (muster_owner_parts & 1 && muster_cgroup_v1 == 0 && bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		BPF_CORE_READ_INTO(&owner.cgroup, sk, sk_cgrp_data.cgroup, kn, id);
	return owner;
}

static __always_inline struct muster_address muster_peer_address(const struct sock___muster *sk)
{
	if (sk->__sk_common.skc_family == MUSTER_AF_INET6 && bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
		/* An IPv6 socket that speaks IPv4 has such an address here too. */
		const muster_word *v6 = (const void *)&sk->__sk_common.skc_v6_daddr;

		return (struct muster_address){ { v6[0], v6[1] } };
	}
	return muster_mapped(sk->__sk_common.skc_daddr);
}

static __always_inline struct muster_prefix muster_peer(const struct sock___muster *sk)
{
	const struct muster_address peer = muster_peer_address(sk);

	if (peer.word[0] == 0 && (__u32)peer.word[1] == 0xffff0000)
		return (struct muster_prefix){ { 0, peer.word[1] & 0x00ffffffffffffffULL } };
	return (struct muster_prefix){ { peer.word[0] & 0x0000ffffffffffffULL, 0 } };
}

static __always_inline __u64 muster_peer_port(const struct sock___muster *sk)
{
	return __builtin_bswap16(sk->__sk_common.skc_dport);
}

static __always_inline __u64 muster_own_port(const struct sock___muster *sk)
{
	return sk->__sk_common.skc_num;
}

/*
 * The service's of the two ports, whichever end this is: the lower one. The other is mostly one of tens of thousands
 * that a client takes in turn, and would make a row of each connection.
 */
static __always_inline __u64 muster_service_port(const struct sock___muster *sk)
{
	const __u64 own = muster_own_port(sk), peers = muster_peer_port(sk);

	return own < peers ? own : peers;
}

#endif
