/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet that a network device sends or has received: its length, and both ends as its headers say. */
#ifndef MUSTER_PACKET_H
#define MUSTER_PACKET_H

#include "muster.bpf.h"
#include "address.h"

#define MUSTER_ETH_P_IP 0x0008 /* ETH_P_IP and ETH_P_IPV6 in network order, as skb->protocol has them here */
#define MUSTER_ETH_P_IPV6 0xdd86

enum direction { sent = 0, received = 1 };

/* From the network header on. */
static __always_inline __u64 muster_packet_bytes(const struct sk_buff___muster *skb)
{
	/* Of two pointers the verifier lets a difference be a number, and nothing else; the compiler must not take it apart. */
	long headroom = (long)skb->data - (long)skb->head;

	asm volatile("" : "+r"(headroom));
	return skb->len + headroom - skb->network_header;
}

struct muster_ends {
	struct muster_address source, destination;
	/* Of TCP and UDP, else 0. */
	__u16 source_port, destination_port;
};

/* The first bytes of IPv4 without options and of IPv6, ports included: RFC 791, RFC 8200. */
struct muster_ipv4 {
	__u8 version_words; /* low half: words of the header */
	__u8 pad[5];
	__u16 fragment; /* network order; its low 13 bits say where in the whole it lies */
	__u8 ttl, protocol;
	__u16 sum;
	__u32 source, destination;
	__u16 ports[2];
};
struct muster_ipv6 {
	__u8 pad[6];
	__u8 protocol, hops;
	__u32 source[4], destination[4];
	__u16 ports[2];
};

static __always_inline int muster_has_ports(__u8 protocol)
{
	return protocol == 6 || protocol == 17;
}

/* 0, or an error where the packet is not IP or its headers lie in fragments. */
static __always_inline int muster_read_ends(struct muster_ends *ends, const struct sk_buff___muster *skb)
{
	const unsigned char *at = skb->head + skb->network_header;
	const long room = (long)skb->data + skb->len - skb->data_len - (long)at;

	if (skb->protocol == MUSTER_ETH_P_IP) {
		struct muster_ipv4 ip;
		__u32 words;

		/* What lies behind a short packet's headers is the kernel's, and is not looked at. */
		if (room < (long)sizeof(ip) - 4 || bpf_probe_read_kernel(&ip, sizeof(ip), at))
			return -1;
		ends->source = muster_mapped(ip.source);
		ends->destination = muster_mapped(ip.destination);
		words = ip.version_words & 15;
		if (!muster_has_ports(ip.protocol) || ip.fragment & 0xff1f || words < 5 || room < words * 4 + 4)
			return 0;
		if (words > 5 && bpf_probe_read_kernel(&ip.ports, sizeof(ip.ports), at + words * 4))
			return 0;
		ends->source_port = __builtin_bswap16(ip.ports[0]);
		ends->destination_port = __builtin_bswap16(ip.ports[1]);
		return 0;
	}
	if (skb->protocol == MUSTER_ETH_P_IPV6) {
		struct muster_ipv6 ip;

		if (room < (long)sizeof(ip) - 4 || bpf_probe_read_kernel(&ip, sizeof(ip), at))
			return -1;
		ends->source = muster_address_of(ip.source);
		ends->destination = muster_address_of(ip.destination);
		if (!muster_has_ports(ip.protocol) || room < (long)sizeof(ip))
			return 0;
		ends->source_port = __builtin_bswap16(ip.ports[0]);
		ends->destination_port = __builtin_bswap16(ip.ports[1]);
		return 0;
	}
	return -1;
}

#endif
