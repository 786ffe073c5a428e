// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Bytes that programs gave to TCP and took from it, by name, direction and the service's port; what was only looked at
 * (MSG_PEEK) is not taken. Kernels have these tracepoints since 6.3.
 */
#include "socket.h"

enum direction { sent = 0, received = 1 };
struct tcp_bytes_key {
	struct muster_owner owner;
	struct muster_comm comm;
	__u64 port MUSTER_AS("port");
	enum direction direction;
	__u32 pad;
};
MUSTER_COUNTER(tcp_bytes, struct tcp_bytes_key, 8192, "bytes", "bytes sent and received over TCP", MUSTER_OWNED);

#define MSG_PEEK 2

static __always_inline int count(const __u64 *args, enum direction direction)
{
	const struct sock___muster *sk = (const void *)args[0];
	struct tcp_bytes_key key = { .direction = direction };
	const int bytes = (int)args[1];

	/* Negative: an error. */
	if (bytes <= 0 || !muster_tcp_in_scope(sk))
		return 0;
	key.owner = muster_owner();
	key.comm = muster_comm();
	key.port = muster_service_port(sk);
	muster_add(tcp_bytes, &key, bytes);
	return 0;
}

SEC("tp_btf/sock_send_length")
int on_sock_send_length(__u64 *args) /* sk, result, flags */
{
	return count(args, sent);
}

SEC("tp_btf/sock_recv_length")
int on_sock_recv_length(__u64 *args) /* sk, result, flags */
{
	return args[2] & MSG_PEEK ? 0 : count(args, received);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
