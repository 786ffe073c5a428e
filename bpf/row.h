/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How an event finds its row and raises it: the hint, checked against the row's own key; behind it the hash; behind
 * that a new row. Functions over the maps of one slot; muster.bpf.h declares the maps. Invariants: a row's key is
 * written before the row can be found, marked ready before the row is counted in, and never changed again; rows issued
 * are at most keys and CPUs together; no return code is ignored; what finds no row is counted in row 0, with the reason
 * in the ledger.
 */
#ifndef MUSTER_ROW_H
#define MUSTER_ROW_H

/* Opt-in parts of an event's owner (task.h) that keys hold, chosen when the probe is loaded: 1 cgroup, 2 process. */
const volatile __u32 muster_owner_parts = 0;

/* Failed attributions by class; the events themselves are in row 0. */
enum muster_failure { MUSTER_FULL = 0, MUSTER_NO_MEMORY = 1, MUSTER_BUSY = 2, MUSTER_OTHER = 3 };

/* One CPU's account, a cache line of its own; in the unit of the table's first value. */
struct muster_ledger {
	__u64 seen;
	__u64 failed[4];
	/* A row issued to this CPU that no key has yet, as another CPU inserted its key first. 0: none. */
	__u64 spare;
	__u64 pad[2];
	/*
	 * While labels are sampled (below): what was seen besides `seen`, and what rows were given for it, in the units of the
	 * first value and of the second; the largest weight that a pick had or would have had; what this CPU's picks are
	 * made from, 0: nothing yet.
	 */
	__u64 sampled, given;
	__u64 sampled_sum, given_sum;
	__u64 weight_max;
	__u64 salt;
	__u64 unused[2];
};

/* A key is read and compared as words, whatever its members are. */
typedef __u64 __attribute__((may_alias)) muster_word;

enum muster_writers { MUSTER_ATOMIC = 0, MUSTER_SOLE = 1 };

/* With the writers: the events are in the ledger already. */
#define MUSTER_NOTED 2

static __always_inline void muster_raise(__u64 *value, __u64 n, const int writers)
{
	if (writers & MUSTER_SOLE)
		*value += n;
	else
		__sync_fetch_and_add(value, n);
}

/*
 * Hash of a key: sum of word[i] × K^(i+1) mod 2^64, K odd; a ready key carries it, made odd, as its mark. A key of
 * which only some words have been written yet therefore matches no other key, in whatever order a CPU sees the words.
 * The first `owned` words are the owner's: zero, and passed over, in a probe that is loaded without such labels (the
 * verifier removes what asks for a constant). Also in services/shared/contract/key-mark.ts.
 */
#define MUSTER_K 0x9e3779b97f4a7c15ULL

static __always_inline __u64 muster_mark(const muster_word *key, const unsigned int words, const unsigned int owned)
{
	__u64 hash = 0, factor = MUSTER_K;

	if (owned && muster_owner_parts)
		hash = key[0] * factor + key[1] * factor * MUSTER_K;
	if (owned)
		factor *= MUSTER_K * MUSTER_K;
#pragma unroll
	for (unsigned int i = owned; i < words; i++, factor *= MUSTER_K)
		hash += key[i] * factor;
	return hash | 1;
}

/* The product's best bits are its highest: a key's last byte moves no others. This brings them down to be masked. */
static __always_inline __u32 muster_hint_of(__u64 mark)
{
	return __builtin_bswap64(mark);
}

/* Stirs a mark until each bit depends on all: the finalizer of MurmurHash3 (public domain). */
static __always_inline __u64 muster_stirred(__u64 mark)
{
	mark ^= mark >> 33;
	mark *= 0xff51afd7ed558ccdULL;
	mark ^= mark >> 33;
	mark *= 0xc4ceb9fe1a85ec53ULL;
	return mark ^ mark >> 33;
}

/*
 * Sampling. What a CPU sees of a table while it is sampled, unit after unit (calls, ns, bytes), is cut into blocks of
 * 2^shift units. In each block one unit is picked, by a random number of the block's own; the event it falls into is
 * counted under its key, with the weight of the whole block. So every unit is picked with probability 2^-shift,
 * whatever has a rhythm, and what is missing or too much in the end is less than a block a CPU:
 *     sampled = given + pending, -2^shift < pending < 2^shift     and     seen + given = sum of all cells
 * Nothing is kept between events but `sampled`: a program that nests takes units of its own.
 */
static __always_inline __u64 muster_pick(const struct muster_ledger *ledger, __u64 block, __u32 shift)
{
	return muster_stirred((ledger->salt + (block << 6 | shift)) * MUSTER_K) & ((1ULL << shift) - 1);
}

/* How many picked units are among the n from `at` on. */
static __always_inline __u64 muster_picks(const struct muster_ledger *ledger, __u64 at, __u64 n, __u32 shift)
{
	const __u64 mask = (1ULL << shift) - 1, block = at >> shift, last = (at + n - 1) >> shift;
	__u64 picks;

	if (n == 0)
		return 0;
	/* The rest of the first block, then whole ones, then the beginning of the last. */
	picks = muster_pick(ledger, block, shift) - (at & mask) < n;
	if (block != last)
		picks += last - block - 1 + (muster_pick(ledger, last, shift) <= ((at + n - 1) & mask));
	return picks;
}

/* The hint's row if it is this key's, else 0. Hints may be stale or torn: only a ready, equal key counts. */
static __always_inline __u32 muster_hinted(void *keys, __u32 row, const muster_word *key, const unsigned int words,
					   const unsigned int owned, __u64 mark)
{
	const muster_word *known;

	/* Entry 0 holds no key but the number of rows issued. */
	if (!row)
		return 0;
	known = bpf_map_lookup_elem(keys, &row);
	if (!known || *(const volatile __u64 *)known != mark)
		return 0;
	if (owned && muster_owner_parts && (known[1] != key[0] || known[2] != key[1]))
		return 0;
#pragma unroll
	for (unsigned int i = owned; i < words; i++)
		if (known[1 + i] != key[i])
			return 0;
	return row;
}

static __always_inline enum muster_failure muster_failure_of(int error)
{
	switch (error) {
	case -7: /* E2BIG */
		return MUSTER_FULL;
	case -12: /* ENOMEM */
		return MUSTER_NO_MEMORY;
	case -16: /* EBUSY */
		return MUSTER_BUSY;
	default:
		return MUSTER_OTHER;
	}
}

static __always_inline __u32 muster_failed(struct muster_ledger *ledger, enum muster_failure class, __u64 n)
{
	__sync_fetch_and_add(&ledger->failed[class], n);
	return 0;
}

/* A row that is this CPU's alone until it is in the hash; 0: the table is full. */
static __always_inline __u32 muster_take_row(void *keys, __u32 rows, struct muster_ledger *ledger)
{
	/* Exchanged, for a program that nests here must not take it too. */
	__u32 zero = 0, row = __sync_lock_test_and_set(&ledger->spare, 0);
	__u64 *issued;

	if (row)
		return row;
	issued = bpf_map_lookup_elem(keys, &zero);
	/* Read before adding: a full table must not count on until the number wraps and issues a live row again. */
	if (!issued || *(volatile __u64 *)issued >= rows)
		return 0;
	row = __sync_fetch_and_add(issued, 1) + 1;
	return row > rows ? 0 : row; /* above: CPUs that passed the line before together */
}

/* The key's row by the hash, a new one if it has none yet; 0, and the reason in the ledger, if there can be none. */
static __always_inline __u32 muster_find(void *ids, void *keys, __u32 rows, const muster_word *key,
					 const unsigned int words, __u64 mark, __u32 *hint,
					 struct muster_ledger *ledger, __u64 n)
{
	__u32 *found = bpf_map_lookup_elem(ids, key), row;
	muster_word *entry;

	if (!found) {
		int error;

		row = muster_take_row(keys, rows, ledger);
		if (!row)
			return muster_failed(ledger, MUSTER_FULL, n);
		entry = bpf_map_lookup_elem(keys, &row);
		if (!entry || *(const volatile __u64 *)entry)
			return muster_failed(ledger, MUSTER_OTHER, n); /* the slot was not empty: no one's row */
#pragma unroll
		for (unsigned int i = 0; i < words; i++)
			entry[1 + i] = key[i];
		/*
		 * Not marked before it is in the hash: user space learns a marked row's key once, and this row may have
		 * to serve another. As an int: before 6.4 the upper half of what comes back is not to be relied on.
		 */
		error = (int)bpf_map_update_elem(ids, key, &row, BPF_NOEXIST);
		if (error) /* A spare that is there by now, from a program that nested here, is lost: a row, no event. */
			__sync_lock_test_and_set(&ledger->spare, row);
		if (error && error != -17) /* EEXIST: another CPU was first */
			return muster_failed(ledger, muster_failure_of(error), n);
		found = bpf_map_lookup_elem(ids, key);
		if (!found)
			return muster_failed(ledger, MUSTER_OTHER, n);
	}
	row = *found;
	if (!row || row > rows) /* never written by a program; user space can */
		return muster_failed(ledger, MUSTER_OTHER, n);
	entry = bpf_map_lookup_elem(keys, &row);
	if (!entry)
		return muster_failed(ledger, MUSTER_OTHER, n);
	/* Whoever finds a row that is not marked yet does it, as the CPU that inserted it may be held up. A full barrier. */
	if (!*(const volatile __u64 *)entry)
		__sync_lock_test_and_set((__u64 *)entry, mark);
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

#endif
