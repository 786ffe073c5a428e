// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP connections: how long it took to open them, by who opened them, to where, and how that ended; and those that
 * were accepted. Outcome "0" is a connection; ECANCELED one that was closed, or could not be sent, before an answer.
 */
#include "socket.h"

struct tcp_connects_key {
	struct muster_comm comm;
	__u64 port MUSTER_AS("port");
	struct muster_prefix peer MUSTER_AS("prefix");
	__u64 outcome MUSTER_AS("errno");
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(tcp_connects, struct tcp_connects_key, 16384, "ns", "time to open TCP connections, by outcome");

struct tcp_accepts_key {
	__u64 port MUSTER_AS("port");
	struct muster_prefix peer MUSTER_AS("prefix");
};
MUSTER_COUNTER(tcp_accepts, struct tcp_accepts_key, 8192, "connections", "TCP connections from elsewhere");

/* Connections that are being opened, by socket. One for which there is no room is counted as failed. */
struct opening {
	__u64 since;
	struct muster_comm comm;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct opening);
} tcp_opening SEC(".maps");

enum { ESTABLISHED = 1, SYN_SENT = 2, SYN_RECV = 3, CLOSE = 7 }; /* UAPI linux/tcp.h */
#define ECANCELED 125

static __always_inline void begin(__u64 socket)
{
	const struct opening opening = { .since = bpf_ktime_get_ns(), .comm = muster_comm() };
	const int error = (int)bpf_map_update_elem(&tcp_opening, &socket, &opening, BPF_ANY);

	if (error)
		muster_lose(tcp_connects, error, 1);
}

static __always_inline void end(__u64 socket, const struct sock___muster *sk, int state)
{
	const struct opening *opening = bpf_map_lookup_elem(&tcp_opening, &socket);
	struct tcp_connects_key key;
	__u64 spent;

	if (!opening) /* begun before the probe was attached, or counted as failed then */
		return;
	spent = bpf_ktime_get_ns() - opening->since;
	key.comm = opening->comm;
	key.port = muster_peer_port(sk);
	key.peer = muster_peer(sk);
	key.outcome = state == ESTABLISHED ? 0 : sk->sk_err ? sk->sk_err : ECANCELED;
	/* One that cannot be taken out now is overwritten when its socket's memory serves another connection. */
	if (bpf_map_delete_elem(&tcp_opening, &socket) == -2) /* ENOENT: another CPU has counted it */
		return;
	muster_observe(tcp_connects, &key, spent);
}

SEC("tp_btf/inet_sock_set_state")
int on_inet_sock_set_state(__u64 *args) /* sk, old state, new state */
{
	const struct sock___muster *sk = (const void *)args[0];
	const int before = (int)args[1], now = (int)args[2];

	if (!muster_tcp_in_scope(sk))
		return 0;
	if (now == SYN_SENT) {
		begin(args[0]);
	} else if (before == SYN_SENT && (now == ESTABLISHED || now == CLOSE)) {
		end(args[0], sk, now);
	} else if (before == SYN_RECV && now == ESTABLISHED) {
		struct tcp_accepts_key key = { .port = muster_own_port(sk), .peer = muster_peer(sk) };

		muster_add(tcp_accepts, &key, 1);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
