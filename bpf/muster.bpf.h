/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between a probe and Muster; every probe includes it, users' own too. A table counts events by key in
 * rows of per-CPU cells; two sets of maps (slots) take turns; each slot's ledger counts what was seen and what could
 * not be attributed. Invariant, for every table, slot and moment at which no program runs:
 *     sum over CPUs of seen = sum of all cells, row 0 (the events whose key found no row) included;
 * of seen + given while labels were sampled (row.h).
 * The maps as user space sees them: services/shared/contract/lineage.ts and control.ts.
 */
#ifndef MUSTER_BPF_H
#define MUSTER_BPF_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#include <linux/bpf.h>
#endif
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "row.h"
#include "task.h"

/* ------------------------------------------------------------------------------------------------- keys and labels */

/* How a key's member becomes text ("syscall", "errno", "port", …), and its name in selectors if not the member's. */
#define MUSTER_AS(meaning) __attribute__((btf_decl_tag("muster:as:" meaning)))
#define MUSTER_NAME(name) __attribute__((btf_decl_tag("muster:name:" name)))

/* Last word of a table's declaration whose key begins with `struct muster_owner owner` (task.h). */
#define MUSTER_OWNED 2
#define MUSTER_SECOND(first, second, ...) second

/* The last member of a histogram's key, filled in by muster_observe. */
#define MUSTER_BUCKET __u64 bucket MUSTER_AS("bucket")

/* ---------------------------------------------------------------------------------------------- set by the loader */

/* The control map, see control.ts: bit 0 of word 0 is the slot to write. Starts as generation 1, slot 0. */
struct muster_control {
	__u64 word[96];
};
struct muster_control muster_control SEC(".data.muster") = { .word = { 1 << 8 } };

#include "second.h"

/*
 * Word 1 is set while the probe is over its budget (control.ts): how much its labels are sampled, and whether stacks are
 * left out. The words from 2 on: by table, log2 of how many units its events have, the usual ones.
 */
#define MUSTER_LEVEL 63ULL
#define MUSTER_NO_STACKS 64ULL

static __always_inline __u64 muster_sampling(void)
{
	return *(volatile __u64 *)&muster_control.word[1] & MUSTER_LEVEL;
}

/* log2 of the units of a block of a table (row.h). */
static __always_inline __u32 muster_shift(__u32 table)
{
	return (muster_sampling() + *(volatile __u64 *)&muster_control.word[2 + (table & 31)]) & MUSTER_LEVEL;
}

/* Possible CPUs, for which the maps below are sized. */
const volatile __u32 muster_cpus = 1;

/* ---------------------------------------------------------------------------------------------------------- tables */

/* Hints per CPU unless the loader sets another power of two: one for each row is best. */
#define MUSTER_HINTS 16384

#define MUSTER_SLOT(name, slot, key_type, values, capacity, owned, tag)                                              \
	struct {                                                                                                     \
		__uint(type, BPF_MAP_TYPE_HASH);                                                                     \
		__uint(max_entries, capacity);                                                                       \
		__type(key, key_type);                                                                               \
		__type(value, __u32);                                                                                \
	} name##_ids_##slot SEC(".maps");                                                                            \
	struct {                                                                                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                                    \
		__uint(map_flags, BPF_F_MMAPABLE);                                                                   \
		__uint(max_entries, MUSTER_HINTS);                                                                   \
		__type(key, __u32);                                                                                  \
		__type(value, __u32);                                                                                \
	} name##_hints_##slot SEC(".maps");                                                                          \
	struct {                                                                                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                                    \
		__uint(map_flags, BPF_F_MMAPABLE);                                                                   \
		__uint(max_entries, (capacity) + 1);                                                                 \
		__type(key, __u32);                                                                                  \
		__type(value, struct name##_marked);                                                                 \
	} name##_keys_##slot SEC(".maps") tag;                                                                       \
	struct {                                                                                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                                    \
		__uint(map_flags, BPF_F_MMAPABLE);                                                                   \
		__uint(max_entries, (capacity) + 1);                                                                 \
		__type(key, __u32);                                                                                  \
		__type(value, struct name##_cell);                                                                   \
	} name##_cells_##slot SEC(".maps");                                                                          \
	struct {                                                                                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                                    \
		__uint(map_flags, BPF_F_MMAPABLE);                                                                   \
		__uint(max_entries, 1);                                                                              \
		__type(key, __u32);                                                                                  \
		__type(value, struct muster_ledger);                                                                 \
	} name##_ledger_##slot SEC(".maps");                                                                         \
	/* Out of line and out of the way: runs when a CPU's hint misses. */                                         \
	static __noinline __u32 name##_find_##slot(const key_type *key, __u64 mark, __u32 *hint,                     \
						   struct muster_ledger *ledger, __u64 n)                            \
	{                                                                                                            \
		return muster_find(&name##_ids_##slot, &name##_keys_##slot, name##_rows, (const muster_word *)key,   \
				   sizeof(key_type) / 8, mark, hint, ledger, n);                                     \
	}                                                                                                            \
	static __always_inline __u32 name##_count_##slot(const key_type *key, __u64 n, __u64 sum, const int flags)   \
	{                                                                                                            \
		const __u64 mark = muster_mark((const muster_word *)key, sizeof(key_type) / 8, owned);               \
		const __u32 cpu = bpf_get_smp_processor_id(), hint_mask = name##_hint_mask;                          \
		struct muster_ledger *ledger = bpf_map_lookup_elem(&name##_ledger_##slot, &cpu);                     \
		__u32 at = cpu * (hint_mask + 1) + (muster_hint_of(mark) & hint_mask);                               \
		__u32 *hint, row;                                                                                    \
		struct name##_cell *cell;                                                                            \
                                                                                                                     \
		if (!ledger)                                                                                         \
			return 0;                                                                                    \
		if (!(flags & MUSTER_NOTED))                                                                         \
			muster_raise(&ledger->seen, n, flags);                                                       \
		hint = bpf_map_lookup_elem(&name##_hints_##slot, &at);                                               \
		if (!hint)                                                                                           \
			return 0;                                                                                    \
		row = muster_hinted(&name##_keys_##slot, *hint, (const muster_word *)key, sizeof(key_type) / 8,      \
				    owned, mark);                                                                    \
		if (!row)                                                                                            \
			row = name##_find_##slot(key, mark, hint, ledger, n);                                        \
		at = cpu * (name##_rows + 1) + row;                                                                  \
		cell = bpf_map_lookup_elem(&name##_cells_##slot, &at);                                               \
		if (!cell)                                                                                           \
			return 0;                                                                                    \
		muster_raise_row(cell->value, values, n, sum, flags);                                                \
		return row;                                                                                          \
	}                                                                                                            \
	/* One event, or n units, while labels are sampled. Out of line: most end in name##_spare. */                \
	static __noinline __u32 name##_sample_##slot(const key_type *key, __u64 n, __u64 sum)                        \
	{                                                                                                            \
		const __u32 cpu = bpf_get_smp_processor_id(), shift = muster_shift(name##_at);                       \
		struct muster_ledger *ledger = bpf_map_lookup_elem(&name##_ledger_##slot, &cpu);                     \
		__u64 picks;                                                                                         \
                                                                                                                     \
		if (!ledger)                                                                                         \
			return 0;                                                                                    \
		if (!ledger->salt)                                                                                   \
			ledger->salt = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;               \
		if (ledger->weight_max < 1ULL << shift)                                                              \
			ledger->weight_max = 1ULL << shift;                                                          \
		if (values == 2)                                                                                     \
			__sync_fetch_and_add(&ledger->sampled_sum, sum);                                             \
		picks = muster_picks(ledger, __sync_fetch_and_add(&ledger->sampled, n), n, shift);                   \
		if (!picks)                                                                                          \
			return 0;                                                                                    \
		n = picks << shift;                                                                                  \
		sum = sum << shift; /* of one observation */                                                         \
		__sync_fetch_and_add(&ledger->given, n);                                                             \
		if (values == 2)                                                                                     \
			__sync_fetch_and_add(&ledger->given_sum, sum);                                               \
		return name##_count_##slot(key, n, sum, MUSTER_ATOMIC | MUSTER_NOTED);                               \
	}                                                                                                            \
	/* Notes an event that is not picked, and returns 1; does nothing, and returns 0, where it may be. */        \
	__attribute__((unused)) static __always_inline int name##_spare_##slot(__u64 n, __u64 sum, const int flags)  \
	{                                                                                                            \
		const __u32 cpu = bpf_get_smp_processor_id(), shift = muster_shift(name##_at);                       \
		struct muster_ledger *ledger = bpf_map_lookup_elem(&name##_ledger_##slot, &cpu);                     \
		__u64 at;                                                                                            \
                                                                                                                     \
		if (!ledger || ledger->weight_max < 1ULL << shift)                                                   \
			return 0;                                                                                    \
		at = *(volatile __u64 *)&ledger->sampled;                                                            \
		if (muster_picks(ledger, at, n, shift))                                                              \
			return 0;                                                                                    \
		if (flags & MUSTER_SOLE)                                                                             \
			ledger->sampled = at + n;                                                                    \
		else if (__sync_val_compare_and_swap(&ledger->sampled, at, at + n) != at)                            \
			return 0; /* a program that nested here took these units */                                  \
		if (values == 2)                                                                                     \
			muster_raise(&ledger->sampled_sum, sum, flags);                                              \
		return 1;                                                                                            \
	}                                                                                                            \
	__attribute__((unused)) static __always_inline void name##_lose_##slot(enum muster_failure class, __u64 n)   \
	{                                                                                                            \
		const __u32 cpu = bpf_get_smp_processor_id();                                                        \
		const __u32 at = cpu * (name##_rows + 1);                                                            \
		struct muster_ledger *ledger = bpf_map_lookup_elem(&name##_ledger_##slot, &cpu);                     \
		struct name##_cell *overflow = bpf_map_lookup_elem(&name##_cells_##slot, &at);                       \
                                                                                                                     \
		if (!ledger || !overflow)                                                                            \
			return;                                                                                      \
		__sync_fetch_and_add(&ledger->seen, n);                                                              \
		__sync_fetch_and_add(&ledger->failed[class], n);                                                     \
		muster_raise_row(overflow->value, values, n, 0, MUSTER_ATOMIC);                                      \
	}

#define MUSTER_TABLE(name, key_type, values, capacity, owned, tag)                                                   \
	_Static_assert(sizeof(key_type) % 8 == 0, "a key is made of whole 64-bit words: name the rest __u32 pad");     \
	_Static_assert(_Alignof(key_type) == 8, "a key of small members only needs __attribute__((aligned(8)))");    \
	const volatile __u32 name##_rows = capacity;                                                                 \
	const volatile __u32 name##_hint_mask = MUSTER_HINTS - 1;                                                    \
	const volatile __u32 name##_owned = owned;                                                                   \
	const volatile __u32 name##_at = 0; /* its number among the object's tables */                               \
	struct name##_marked {                                                                                       \
		__u64 mark;                                                                                          \
		__u64 key[sizeof(key_type) / 8];                                                                     \
	};                                                                                                           \
	struct name##_cell {                                                                                         \
		__u64 value[values];                                                                                 \
	};                                                                                                           \
	MUSTER_SLOT(name, 0, key_type, values, capacity, owned, __attribute__((btf_decl_tag(tag))))                  \
	MUSTER_SLOT(name, 1, key_type, values, capacity, owned, )                                                    \
	/* Returns the key's row, 0 where it has none. */                                                            \
	__attribute__((unused)) static __always_inline __u32 name##_count(const key_type *key, __u64 n, __u64 sum,   \
									  const int flags)                           \
	{                                                                                                            \
		if (*(volatile __u64 *)&muster_control.word[0] & 1)                                                  \
			return name##_count_1(key, n, sum, flags);                                                   \
		return name##_count_0(key, n, sum, flags);                                                           \
	}                                                                                                            \
	/* As name##_count, or sampled. */                                                                           \
	__attribute__((unused)) static __always_inline __u32 name##_add(const key_type *key, __u64 n, __u64 sum,     \
									const int flags)                             \
	{                                                                                                            \
		if (__builtin_expect(muster_sampling(), 0)) {                                                        \
			if (*(volatile __u64 *)&muster_control.word[0] & 1)                                          \
				return name##_sample_1(key, n, sum);                                                 \
			return name##_sample_0(key, n, sum);                                                         \
		}                                                                                                    \
		return name##_count(key, n, sum, flags);                                                             \
	}                                                                                                            \
	__attribute__((unused)) static __always_inline int name##_spare(__u64 n, __u64 sum, const int flags)         \
	{                                                                                                            \
		if (__builtin_expect(!muster_sampling(), 1))                                                         \
			return 0;                                                                                    \
		if (*(volatile __u64 *)&muster_control.word[0] & 1)                                                  \
			return name##_spare_1(n, sum, flags);                                                        \
		return name##_spare_0(n, sum, flags);                                                                \
	}                                                                                                            \
	__attribute__((unused)) static __always_inline void name##_lose(enum muster_failure class, __u64 n)          \
	{                                                                                                            \
		if (*(volatile __u64 *)&muster_control.word[0] & 1)                                                  \
			name##_lose_1(class, n);                                                                     \
		else                                                                                                 \
			name##_lose_0(class, n);                                                                     \
	}

/* A table of counters: unit and help are text, rows is how many keys it can hold; MUSTER_OWNED may follow. */
#define MUSTER_COUNTER(name, key_type, rows, unit, help, ...)                                                        \
	MUSTER_TABLE(name, key_type, 1, rows, MUSTER_SECOND(0, ##__VA_ARGS__, 0), "muster:counter:" unit ":" help)

/* A table of histograms: the key ends in MUSTER_BUCKET; each bucket that occurs takes a row. */
#define MUSTER_HISTOGRAM(name, key_type, rows, unit, help, ...)                                                      \
	_Static_assert(__builtin_offsetof(key_type, bucket) + 8 == sizeof(key_type), "a histogram's key ends in MUSTER_BUCKET"); \
	MUSTER_TABLE(name, key_type, 2, rows, MUSTER_SECOND(0, ##__VA_ARGS__, 0), "muster:histogram:" unit ":" help)

/* Counts n (calls, bytes, …) for a key. */
#define muster_add(name, key, n) name##_add(key, n, 0, MUSTER_ATOMIC)
/*
 * The same without locked instructions, for a table that one program alone writes, and that on a hook whose programs
 * cannot nest on one CPU. Write the proof beside the call; without one, use muster_add.
 */
#define muster_add_sole(name, key, n) name##_add(key, n, 0, MUSTER_SOLE)

/*
 * True, with the event counted, while labels are sampled and this event is not picked: its key need not be worked out.
 * Optional, and worth it where the key is dear, or the event frequent. What is not spared goes on to the call that
 * counts it, with the same n (of an observation, the same value); _sole under the same proof as there.
 */
#define muster_spared(name, n) name##_spare(n, 0, MUSTER_ATOMIC)
#define muster_spared_sole(name, n) name##_spare(n, 0, MUSTER_SOLE)
#define muster_spared_observation(name, value) name##_spare(1, value, MUSTER_ATOMIC)
#define muster_spared_observation_sole(name, value) name##_spare(1, value, MUSTER_SOLE)

/*
 * Counts n events of which too little is known for a key, such as when their beginning could not be kept: seen, in the
 * overflow, and with the error of the helper that failed (negative) as the reason. For tables written with muster_add
 * and muster_observe, not with _sole.
 */
#define muster_lose(name, error, n) name##_lose(muster_failure_of(error), n)

/* Counts one observation of value under a key (its bucket is filled in here). _sole: see muster_add_sole. */
#define muster_observe(name, key_pointer, value)                                                                     \
	({                                                                                                           \
		const __u64 observed_ = (value);                                                                     \
		(key_pointer)->bucket = muster_bucket(observed_);                                                    \
		name##_add(key_pointer, 1, observed_, MUSTER_ATOMIC);                                                \
	})
#define muster_observe_sole(name, key_pointer, value)                                                                \
	({                                                                                                           \
		const __u64 observed_ = (value);                                                                     \
		(key_pointer)->bucket = muster_bucket(observed_);                                                    \
		name##_add(key_pointer, 1, observed_, MUSTER_SOLE);                                                  \
	})

#include "sketch.h"

#endif
