// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What Muster itself costs and loses on this host. Its events are accounts that the agent lays into an inbox: the value
 * that a counter of the kernel stands at (a program's runs, a table's failed attributions), of which the difference to
 * the last one laid in is counted here, or a plain amount. The iterator's one element takes one account, and an account
 * is taken whole or not at all: an agent that is killed and lays the same value in again counts nothing twice.
 * The inbox as user space sees it: services/shared/contract/accounts.ts.
 */
#include "muster.bpf.h"

struct account_part {
	__u64 word[6];
};
struct account_probe {
	__u64 word[4];
};

struct muster_program_key {
	struct account_probe probe MUSTER_AS("text");
	struct account_part program MUSTER_AS("text");
};
MUSTER_COUNTER(muster_runs, struct muster_program_key, 512, "runs", "runs of programs, in the periods in which the kernel timed them");
MUSTER_COUNTER(muster_run_time, struct muster_program_key, 512, "ns", "time of programs, in the periods in which the kernel timed them");
MUSTER_COUNTER(muster_skipped, struct muster_program_key, 512, "runs", "runs of programs that the kernel skipped");

/* The classes that a ledger tells apart. */
enum failure { other = 0, E2BIG = 7, ENOMEM = 12, EBUSY = 16 };
struct muster_unlabelled_key {
	struct account_probe probe MUSTER_AS("text");
	struct account_part table MUSTER_AS("text");
	enum failure errno;
	__u32 pad;
};
MUSTER_COUNTER(muster_unlabelled, struct muster_unlabelled_key, 512, "events", "what tables counted without labels, in their own units, and why");

struct muster_fill_key {
	struct account_probe probe MUSTER_AS("text");
	struct account_part table MUSTER_AS("text");
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(muster_fill, struct muster_fill_key, 4096, "percent", "rows in use of those that tables have, as looked at now and then");

struct muster_agent_key {
	struct account_part part MUSTER_AS("text");
};
MUSTER_COUNTER(muster_agent_cpu, struct muster_agent_key, 16, "ns", "CPU time of the agent");

enum account_kind { TAKEN = 0, RUNS, RUN_TIME, SKIPPED, UNLABELLED, FILL, AGENT_CPU, FORGET };

struct account {
	__u64 kind;
	/* Whose value it is: lineage, and a number within it. All zero: value is an amount, not where a counter stands. */
	__u64 source[3];
	__u64 value;
	/* What a source that is new here stood at before: counted by nobody, for it is older than this lineage. */
	__u64 before;
	__u64 errno;
	struct account_probe probe;
	struct account_part part;
};

#define ACCOUNTS 128

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ACCOUNTS);
	__type(key, __u32);
	__type(value, struct account);
} muster_inbox SEC(".maps");

struct source {
	__u64 kind, of[3];
};
/* Where each source stood when it was counted last. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct source);
	__type(value, __u64);
} muster_sources SEC(".maps");

/* What is new of an account; an error where its source cannot be kept. */
static __always_inline int news_of(const struct account *account, const struct source *source, __u64 *n)
{
	const __u64 value = account->value;
	__u64 *last = bpf_map_lookup_elem(&muster_sources, source);

	if (last) {
		*n = value > *last ? value - *last : 0;
		if (*n)
			*last = value;
		return 0;
	}
	*n = value > account->before ? value - account->before : 0;
	return (int)bpf_map_update_elem(&muster_sources, source, &value, BPF_NOEXIST);
}

struct bpf_iter_meta___muster {
	struct seq_file *seq;
	__u64 session_id, seq_num;
} __attribute__((preserve_access_index));
struct bpf_iter__bpf_map___muster {
	__bpf_md_ptr(struct bpf_iter_meta___muster *, meta);
};

/* The maps that the iterator walks are not looked at: their number bounds the accounts of one walk. */
SEC("iter/bpf_map")
int take_account(struct bpf_iter__bpf_map___muster *ctx)
{
	struct bpf_iter_meta___muster *meta = ctx->meta;
	const __u32 at = meta->seq_num;
	struct account *account = bpf_map_lookup_elem(&muster_inbox, &at);
	struct source source;
	char answer = '+';
	__u64 kind, n;

	if (!account)
		return 0;
	/* Taken once, whoever else walks. */
	kind = __sync_lock_test_and_set(&account->kind, TAKEN);
	if (kind == TAKEN)
		return 0;
	source = (struct source){ kind, { account->source[0], account->source[1], account->source[2] } };
	n = account->value;
	if (kind == FORGET) {
		source.kind = n;
		bpf_map_delete_elem(&muster_sources, &source);
		goto answer;
	}
	if ((source.of[0] || source.of[1]) && news_of(account, &source, &n)) {
		answer = '!';
		goto answer;
	}
	if (!n && kind != FILL)
		goto answer;
	if (kind == RUNS || kind == RUN_TIME || kind == SKIPPED) {
		struct muster_program_key key = { account->probe, account->part };

		if (kind == RUNS)
			muster_add(muster_runs, &key, n);
		else if (kind == RUN_TIME)
			muster_add(muster_run_time, &key, n);
		else
			muster_add(muster_skipped, &key, n);
	} else if (kind == UNLABELLED) {
		struct muster_unlabelled_key key = { account->probe, account->part, .errno = account->errno };

		muster_add(muster_unlabelled, &key, n);
	} else if (kind == FILL) {
		struct muster_fill_key key = { .probe = account->probe, .table = account->part };

		muster_observe(muster_fill, &key, n);
	} else if (kind == AGENT_CPU) {
		struct muster_agent_key key = { account->part };

		muster_add(muster_agent_cpu, &key, n);
	}
answer:
	return bpf_seq_write(meta->seq, &answer, 1) ? 1 : 0; /* one byte: there is room */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
