/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between a probe and Muster; every probe includes it, users' own too. A table counts events by key in
 * rows of per-CPU cells; two sets of maps (slots) take turns; each slot's ledger counts what was seen and what could
 * not be attributed. Invariant, for every table, slot and moment at which no program runs:
 *     sum over CPUs of seen = sum of all cells, row 0 (the events whose key found no row) included.
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
#include "kernel.h"

/* ------------------------------------------------------------------------------------------------- keys and labels */

/* How a key's member becomes text ("syscall", "errno", "port", …), and its name in selectors if not the member's. */
#define MUSTER_AS(meaning) __attribute__((btf_decl_tag("muster:as:" meaning)))
#define MUSTER_NAME(name) __attribute__((btf_decl_tag("muster:name:" name)))

/* A task's name, as two words of text, zero-padded. */
struct muster_comm {
	__u64 word[2];
};

/* The last member of a histogram's key, filled in by muster_observe. */
#define MUSTER_BUCKET __u64 bucket MUSTER_AS("bucket")

/* ---------------------------------------------------------------------------------------------- set by the loader */

/* The control map, see control.ts: bit 0 of word 0 is the slot to write. Starts as generation 1, slot 0. */
struct muster_control {
	__u64 word[96];
};
struct muster_control muster_control SEC(".data.muster") = { .word = { 1 << 8 } };

/* Possible CPUs, for which the maps below are sized. */
const volatile __u32 muster_cpus = 1;
/* What to count: the subtree of the cgroup v2 directory with this inode number at this depth; depth 0: everything. */
const volatile __u64 muster_scope_id = 0;
const volatile __u32 muster_scope_level = 0;

/* ---------------------------------------------------------------------------------------------------------- tables */

/* Failed attributions by class; the events themselves are in row 0. */
enum muster_failure { MUSTER_FULL = 0, MUSTER_NO_MEMORY = 1, MUSTER_BUSY = 2, MUSTER_OTHER = 3 };

/* One CPU's account, a cache line of its own; in the unit of the table's first value. */
struct muster_ledger {
	__u64 seen;
	__u64 failed[4];
	__u64 pad[3];
};

/* Hints per CPU unless the loader sets another power of two: one for each row is best. */
#define MUSTER_HINTS 16384

/* A key is read and compared as words, whatever its members are. */
typedef __u64 __attribute__((may_alias)) muster_word;

#define MUSTER_SLOT(name, slot, key_type, values, capacity, tag)                                                     \
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
	static __always_inline void name##_count_##slot(const key_type *key, __u64 n, __u64 sum, const int flags)    \
	{                                                                                                            \
		const __u64 mark = muster_mark((const muster_word *)key, sizeof(key_type) / 8);                      \
		const __u32 cpu = bpf_get_smp_processor_id();                                                        \
		struct muster_ledger *ledger = bpf_map_lookup_elem(&name##_ledger_##slot, &cpu);                     \
		__u32 at = cpu * (name##_hint_mask + 1) + (muster_hint_of(mark) & name##_hint_mask);                 \
		__u32 *hint, row;                                                                                    \
		struct name##_cell *cell;                                                                            \
                                                                                                                     \
		if (!ledger)                                                                                         \
			return;                                                                                      \
		muster_raise(&ledger->seen, n, flags);                                                               \
		hint = bpf_map_lookup_elem(&name##_hints_##slot, &at);                                               \
		if (!hint)                                                                                           \
			return;                                                                                      \
		row = muster_hinted(&name##_keys_##slot, *hint, (const muster_word *)key, sizeof(key_type) / 8,      \
				    mark);                                                                           \
		if (!row)                                                                                            \
			row = name##_find_##slot(key, mark, hint, ledger, n);                                        \
		at = cpu * (name##_rows + 1) + row;                                                                  \
		cell = bpf_map_lookup_elem(&name##_cells_##slot, &at);                                               \
		if (!cell)                                                                                           \
			return;                                                                                      \
		muster_raise(&cell->value[0], n, flags);                                                             \
		if (values > 1)                                                                                      \
			muster_raise(&cell->value[values - 1], sum, flags);                                          \
	}

#define MUSTER_TABLE(name, key_type, values, capacity, tag)                                                          \
	_Static_assert(sizeof(key_type) % 8 == 0, "a key is made of whole 64-bit words: name the rest __u32 pad");     \
	_Static_assert(_Alignof(key_type) == 8, "a key of small members only needs __attribute__((aligned(8)))");    \
	const volatile __u32 name##_rows = capacity;                                                                 \
	const volatile __u32 name##_hint_mask = MUSTER_HINTS - 1;                                                    \
	struct name##_marked {                                                                                       \
		__u64 mark;                                                                                          \
		__u64 key[sizeof(key_type) / 8];                                                                     \
	};                                                                                                           \
	struct name##_cell {                                                                                         \
		__u64 value[values];                                                                                 \
	};                                                                                                           \
	MUSTER_SLOT(name, 0, key_type, values, capacity, __attribute__((btf_decl_tag(tag))))                         \
	MUSTER_SLOT(name, 1, key_type, values, capacity, )                                                           \
	static __always_inline void name##_count(const key_type *key, __u64 n, __u64 sum, const int flags)           \
	{                                                                                                            \
		if (*(volatile __u64 *)&muster_control.word[0] & 1)                                                  \
			name##_count_1(key, n, sum, flags);                                                          \
		else                                                                                                 \
			name##_count_0(key, n, sum, flags);                                                          \
	}

/* A table of counters: unit and help are text, rows is how many keys it can hold. */
#define MUSTER_COUNTER(name, key_type, rows, unit, help)                                                             \
	MUSTER_TABLE(name, key_type, 1, rows, "muster:counter:" unit ":" help)

/* A table of histograms: the key ends in MUSTER_BUCKET; each bucket that occurs takes a row. */
#define MUSTER_HISTOGRAM(name, key_type, rows, unit, help)                                                           \
	_Static_assert(__builtin_offsetof(key_type, bucket) + 8 == sizeof(key_type), "a histogram's key ends in MUSTER_BUCKET"); \
	MUSTER_TABLE(name, key_type, 2, rows, "muster:histogram:" unit ":" help)

/* Counts n (calls, bytes, …) for a key. */
#define muster_add(name, key, n) name##_count(key, n, 0, MUSTER_ATOMIC)
/*
 * The same without locked instructions, for a table that one program alone writes, and that on a hook whose programs
 * cannot nest on one CPU. Write the proof beside the call; without one, use muster_add.
 */
#define muster_add_sole(name, key, n) name##_count(key, n, 0, MUSTER_SOLE)

/* Counts one observation of value under a key (its bucket is filled in here). _sole: see muster_add_sole. */
#define muster_observe(name, key_pointer, value)                                                                     \
	({                                                                                                           \
		const __u64 observed_ = (value);                                                                     \
		(key_pointer)->bucket = muster_bucket(observed_);                                                    \
		name##_count(key_pointer, 1, observed_, MUSTER_ATOMIC);                                              \
	})
#define muster_observe_sole(name, key_pointer, value)                                                                \
	({                                                                                                           \
		const __u64 observed_ = (value);                                                                     \
		(key_pointer)->bucket = muster_bucket(observed_);                                                    \
		name##_count(key_pointer, 1, observed_, MUSTER_SOLE);                                                \
	})

/* --------------------------------------------------------------------------------------------------- how it counts */

enum muster_writers { MUSTER_ATOMIC = 0, MUSTER_SOLE = 1 };

static __always_inline void muster_raise(__u64 *value, __u64 n, const int writers)
{
	if (writers == MUSTER_SOLE)
		*value += n;
	else
		__sync_fetch_and_add(value, n);
}

/*
 * Hash of a key: sum of word[i] × K^(i+1) mod 2^64, K odd; a ready key carries it, made odd, as its mark. A key of
 * which only some words have been written yet therefore matches no other key, in whatever order a CPU sees the words.
 * Also in services/shared/contract/key-mark.ts.
 */
#define MUSTER_K 0x9e3779b97f4a7c15ULL

static __always_inline __u64 muster_mark(const muster_word *key, const unsigned int words)
{
	__u64 hash = 0, factor = MUSTER_K;

#pragma unroll
	for (unsigned int i = 0; i < words; i++, factor *= MUSTER_K)
		hash += key[i] * factor;
	return hash | 1;
}

/* The product's best bits are its highest: a key's last byte moves no others. This brings them down to be masked. */
static __always_inline __u32 muster_hint_of(__u64 mark)
{
	return __builtin_bswap64(mark);
}

/* The hint's row if it is this key's, else 0. Hints may be stale or torn: only a ready, equal key counts. */
static __always_inline __u32 muster_hinted(void *keys, __u32 row, const muster_word *key, const unsigned int words,
					   __u64 mark)
{
	const muster_word *known;

	/* Entry 0 holds no key but the number of rows issued. */
	if (!row)
		return 0;
	known = bpf_map_lookup_elem(keys, &row);
	if (!known || *(const volatile __u64 *)known != mark)
		return 0;
#pragma unroll
	for (unsigned int i = 0; i < words; i++)
		if (known[1 + i] != key[i])
			return 0;
	return row;
}

static __always_inline __u32 muster_failed(struct muster_ledger *ledger, enum muster_failure class, __u64 n)
{
	__sync_fetch_and_add(&ledger->failed[class], n);
	return 0;
}

/* The key's row by the hash, a new one if it has none yet; 0, and the reason in the ledger, if there can be none. */
static __always_inline __u32 muster_find(void *ids, void *keys, __u32 rows, const muster_word *key,
					 const unsigned int words, __u64 mark, __u32 *hint,
					 struct muster_ledger *ledger, __u64 n)
{
	__u32 zero = 0, row;
	__u32 *found = bpf_map_lookup_elem(ids, key);
	muster_word *issued, *fresh;
	long error;

	if (found)
		goto known;
	issued = bpf_map_lookup_elem(keys, &zero);
	if (!issued)
		return muster_failed(ledger, MUSTER_OTHER, n);
	/* Read before adding: a full table must not count on until the number wraps and issues a live row again. */
	if (*(volatile __u64 *)issued >= rows)
		return muster_failed(ledger, MUSTER_FULL, n);
	row = __sync_fetch_and_add((__u64 *)issued, 1) + 1;
	if (row > rows) /* CPUs that passed the line above together */
		return muster_failed(ledger, MUSTER_FULL, n);
	fresh = bpf_map_lookup_elem(keys, &row);
	if (!fresh)
		return muster_failed(ledger, MUSTER_OTHER, n);
#pragma unroll
	for (unsigned int i = 0; i < words; i++)
		fresh[1 + i] = key[i];
	/* The exchange is a full barrier: words, then mark, then (below) the row can be found. */
	if (__sync_lock_test_and_set((__u64 *)fresh, mark))
		return muster_failed(ledger, MUSTER_OTHER, n); /* the slot was not empty: no one's row */
	error = bpf_map_update_elem(ids, key, &row, BPF_NOEXIST);
	if (!error) {
		*hint = row;
		return row;
	}
	switch (error) {
	case -17: /* EEXIST: another CPU was first; the row issued here is wasted, and nothing else */
		found = bpf_map_lookup_elem(ids, key);
		if (found)
			goto known;
		return muster_failed(ledger, MUSTER_OTHER, n);
	case -7: /* E2BIG */
		return muster_failed(ledger, MUSTER_FULL, n);
	case -12: /* ENOMEM */
		return muster_failed(ledger, MUSTER_NO_MEMORY, n);
	case -16: /* EBUSY */
		return muster_failed(ledger, MUSTER_BUSY, n);
	default:
		return muster_failed(ledger, MUSTER_OTHER, n);
	}
known:
	row = *found;
	if (!row || row > rows) /* never written by a program; user space can */
		return muster_failed(ledger, MUSTER_OTHER, n);
	*hint = row;
	return row;
}

/*
 * Log-linear buckets, 8 per octave: services/shared/algebra/histogram.ts. A value keeps its four highest bits; the
 * bucket is those plus 8 for each bit dropped. How many to drop, without a branch (a loop or a tree of them multiplies
 * the verifier's paths): fill all bits below the highest, multiply, and the product's top six bits differ for each of
 * the 64 results.
 */
#define MUSTER_FILLED_FACTOR 0x03f7091794c6d59dULL
static const __u8 muster_bits_dropped[64] = {
	0, 12, 0, 13, 20, 38, 0, 17, 14, 29, 21, 34, 39, 53, 0, 58,
	18, 15, 32, 30, 46, 48, 22, 35, 50, 43, 40, 8, 54, 24, 1, 59,
	11, 19, 37, 16, 28, 33, 52, 57, 31, 45, 47, 49, 42, 7, 23, 10,
	36, 27, 51, 56, 44, 41, 6, 9, 26, 55, 5, 25, 4, 3, 2, 60,
};

static __always_inline __u64 muster_bucket(__u64 value)
{
	__u64 filled = value, dropped;

	filled |= filled >> 1;
	filled |= filled >> 2;
	filled |= filled >> 4;
	filled |= filled >> 8;
	filled |= filled >> 16;
	filled |= filled >> 32;
	dropped = muster_bits_dropped[(filled * MUSTER_FILLED_FACTOR) >> 58] & 63;
	return dropped * 8 + (value >> dropped);
}

/* ----------------------------------------------------------------------------------------------- about the present */

/* The task that runs now. Its members are read like any struct's, without a helper call each. */
static __always_inline const struct task_struct___muster *muster_task(void)
{
	return (const void *)bpf_get_current_task_btf();
}

/*
 * A task's name as it is now. Two loads, against a helper call and a copy (30 ns). Names are padded with zeros by the
 * kernel; one that another thread changes in this instant may be read half old, half new.
 */
static __always_inline struct muster_comm muster_comm_of(const struct task_struct___muster *task)
{
	const muster_word *text = (const void *)&task->comm;

	return (struct muster_comm){ { text[0], text[1] } };
}

static __always_inline struct muster_comm muster_comm(void)
{
	return muster_comm_of(muster_task());
}

/* True if the task belongs to the scope; where the scope is the whole host the verifier removes all of it. */
static __always_inline int muster_in_scope(const struct task_struct___muster *task)
{
	const struct cgroup___muster *group, *ancestor;
	__u64 id;

	if (muster_scope_level == 0)
		return 1;
	group = task->cgroups->dfl_cgrp;
	if (group->level < (int)muster_scope_level)
		return 0;
	/* ancestors is of open length, which the verifier lets no program index: read on by helper. */
	if (bpf_probe_read_kernel(&ancestor, sizeof(ancestor), &group->ancestors[muster_scope_level]) ||
	    BPF_CORE_READ_INTO(&id, ancestor, kn, id))
		return 0;
	return id == muster_scope_id;
}

#endif
