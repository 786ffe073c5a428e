// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What this host had not seen before: programs started, by path, and places that TCP connections were opened to. A Bloom
 * filter knows what it has seen since the probe was loaded, agents' restarts included; only the rest makes a row. About
 * 11,000 values fill half a filter's bits, and then 1 new value in 128 is taken for a known one.
 */
#include "exec.h"
#include "socket.h"

struct first_execs_key {
	struct muster_path binary MUSTER_AS("text");
};
MUSTER_FIRST_SEEN(first_execs, struct first_execs_key, 8192, 2048, "programs", "programs started for the first time, by path");

struct first_connects_key {
	struct muster_address peer MUSTER_AS("ipv6");
	__u64 port MUSTER_AS("port");
};
MUSTER_FIRST_SEEN(first_connects, struct first_connects_key, 8192, 2048, "places", "places connected to for the first time");

SEC("tp_btf/sched_process_exec")
int on_sched_process_exec(__u64 *args) /* task, its pid before, bprm */
{
	struct first_execs_key key = {};
	int error;

	if (!muster_in_scope((const void *)args[0]))
		return 0;
	error = muster_exec_path(&key.binary, (const void *)args[2]);
	if (error)
		muster_lose(first_execs, error, 1);
	else
		muster_first_seen(first_execs, &key);
	return 0;
}

#define SYN_SENT 2 /* UAPI linux/tcp.h */

SEC("tp_btf/inet_sock_set_state")
int on_inet_sock_set_state(__u64 *args) /* sk, old state, new state */
{
	const struct sock___muster *sk = (const void *)args[0];
	struct first_connects_key key;

	if ((int)args[2] != SYN_SENT || !muster_tcp_in_scope(sk))
		return 0;
	key.peer = muster_peer_address(sk);
	key.port = muster_peer_port(sk);
	muster_first_seen(first_connects, &key);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
