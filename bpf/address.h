/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses as labels have them. */
#ifndef MUSTER_ADDRESS_H
#define MUSTER_ADDRESS_H

/* 16 bytes in network order, IPv4 as ::ffff:a.b.c.d. */
struct muster_address {
	__u64 word[2];
};

static __always_inline struct muster_address muster_mapped(__u32 v4)
{
	return (struct muster_address){ { 0, (__u64)v4 << 32 | 0xffff0000 } };
}

static __always_inline struct muster_address muster_address_of(const __u32 *v6)
{
	return (struct muster_address){ { v6[0] | (__u64)v6[1] << 32, v6[2] | (__u64)v6[3] << 32 } };
}

#endif
