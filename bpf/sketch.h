/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sketches: what does not fit a row each, in tables like all others (docs/decisions/0008-sketches-are-tables.md).
 * Every event is one addition to one row, so that slots, ledger and "seen = sum of all cells" hold as they stand:
 *     distinct   a row for each (register, rank) that a value's hash gives; a register is the highest rank that occurs
 *     heavy      a row for each key that carries much; the small ones share 2,048 cells by hash, which bound what is missing
 *     filter     a row for each word of a Bloom filter: how many bits were set in it, and which
 * The hash, and what user space makes of these rows: services/shared/algebra/{sketch-hash,distinct,heavy,filter}.ts.
 */
#ifndef MUSTER_SKETCH_H
#define MUSTER_SKETCH_H

/* ------------------------------------------------------------------------------------------------------- distinct */

/* 1,024 registers: the highest 10 bits of the hash; the rank is the place of the lowest 1 in the rest, from 1 to 55. */
#define MUSTER_REGISTER_BITS 10

/* The last member of a distinct count's key, filled in by muster_distinct: register × 64 + rank. */
#define MUSTER_REGISTER __u64 reg MUSTER_AS("register")

static __always_inline __u64 muster_register(__u64 hash)
{
	const __u64 rest = hash | 1ULL << (64 - MUSTER_REGISTER_BITS);
	/* All bits up to the lowest 1, counted by adding neighbours. */
	__u64 bits = rest ^ (rest - 1);

	bits -= bits >> 1 & 0x5555555555555555ULL;
	bits = (bits & 0x3333333333333333ULL) + (bits >> 2 & 0x3333333333333333ULL);
	bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (hash >> (64 - MUSTER_REGISTER_BITS)) << 6 | (bits * 0x0101010101010101ULL) >> 56;
}

/* A table of distinct counts: the key ends in MUSTER_REGISTER. A value takes up to one row, many values about 10,000. */
#define MUSTER_DISTINCT(name, key_type, rows, unit, help)                                                            \
	_Static_assert(__builtin_offsetof(key_type, reg) + 8 == sizeof(key_type),                                    \
		       "a distinct count's key ends in MUSTER_REGISTER");                                            \
	MUSTER_TABLE(name, key_type, 1, rows, 0, "muster:distinct:" unit ":" help)

/* Counts one observation of the value (a struct of whole words) that value_pointer points to. */
#define muster_distinct(name, key_pointer, value_pointer)                                                            \
	({                                                                                                           \
		_Static_assert(sizeof(*(value_pointer)) % 8 == 0, "a value is made of whole 64-bit words");          \
		(key_pointer)->reg = muster_register(muster_stirred(                                                 \
			muster_mark((const muster_word *)(value_pointer), sizeof(*(value_pointer)) / 8, 0)));           \
		name##_count(key_pointer, 1, 0, MUSTER_ATOMIC);                                                      \
	})

/* ---------------------------------------------------------------------------------------------------------- heavy */

/* Cells that the keys without a row share, and the part of all that gives a key its row: 1 in 512. */
#define MUSTER_CELL_BITS 11
#define MUSTER_HEAVY_PART 512

/* The last member of a heavy hitter's key, filled in by muster_add_heavy: cell × 2, + 1 in the shared cell's own key. */
#define MUSTER_CELL __u64 cell MUSTER_AS("cell")

/*
 * The row of a key that no hint knew: its own, if it has one or deserves one now, else its cell's. It deserves one when
 * on this CPU its cell, this addition included, holds 1 in 512 of all that was seen. A key that never got one therefore
 * lies below 1 in 512 of the table's sum, whatever else is in its cell. A full table gives no new rows: nothing is lost,
 * the bound grows.
 */
#define MUSTER_HEAVY_SLOT(name, slot, key_type)                                                                      \
	static __noinline __u32 name##_weigh_##slot(const key_type *key, __u64 mark, __u32 *hint,                    \
						    struct muster_ledger *ledger, __u64 n)                           \
	{                                                                                                            \
		const __u32 zero = 0;                                                                                \
		__u32 row, at, unused = 0;                                                                           \
		key_type shared = {};                                                                                \
		const struct name##_marked *issued;                                                                  \
		const struct name##_cell *cell;                                                                      \
                                                                                                                     \
		if (bpf_map_lookup_elem(&name##_ids_##slot, key))                                                    \
			goto own;                                                                                    \
		shared.cell = key->cell | 1;                                                                         \
		row = muster_find(&name##_ids_##slot, &name##_keys_##slot, name##_rows, (const muster_word *)&shared, \
				  sizeof(key_type) / 8,                                                              \
				  muster_mark((const muster_word *)&shared, sizeof(key_type) / 8, 0), &unused, ledger, n); \
		at = bpf_get_smp_processor_id() * (name##_rows + 1) + row;                                           \
		cell = bpf_map_lookup_elem(&name##_cells_##slot, &at);                                               \
		issued = bpf_map_lookup_elem(&name##_keys_##slot, &zero);                                            \
		if (!row || !cell || !issued || *(const volatile __u64 *)&issued->mark >= name##_rows ||             \
		    (cell->value[0] + n) * MUSTER_HEAVY_PART < ledger->seen)                                         \
			return row;                                                                                  \
	own:                                                                                                         \
		return muster_find(&name##_ids_##slot, &name##_keys_##slot, name##_rows, (const muster_word *)key,   \
				   sizeof(key_type) / 8, mark, hint, ledger, n);                                     \
	}                                                                                                            \
	static __always_inline void name##_heavy_##slot(const key_type *key, __u64 n)                                \
	{                                                                                                            \
		const __u64 mark = muster_mark((const muster_word *)key, sizeof(key_type) / 8, 0);                      \
		const __u32 cpu = bpf_get_smp_processor_id();                                                        \
		struct muster_ledger *ledger = bpf_map_lookup_elem(&name##_ledger_##slot, &cpu);                     \
		__u32 at = cpu * (name##_hint_mask + 1) + (muster_hint_of(mark) & name##_hint_mask);                 \
		__u32 *hint = bpf_map_lookup_elem(&name##_hints_##slot, &at), row;                                   \
		struct name##_cell *cell;                                                                            \
                                                                                                                     \
		if (!ledger || !hint)                                                                                \
			return;                                                                                      \
		muster_raise(&ledger->seen, n, MUSTER_ATOMIC);                                                       \
		row = muster_hinted(&name##_keys_##slot, *hint, (const muster_word *)key, sizeof(key_type) / 8,      \
				    0, mark);                                                                        \
		if (!row)                                                                                            \
			row = name##_weigh_##slot(key, mark, hint, ledger, n);                                       \
		at = cpu * (name##_rows + 1) + row;                                                                  \
		cell = bpf_map_lookup_elem(&name##_cells_##slot, &at);                                               \
		if (cell)                                                                                            \
			muster_raise(&cell->value[0], n, MUSTER_ATOMIC);                                             \
	}

/* A table of heavy hitters: the key ends in MUSTER_CELL; rows for the cells and twice as many keys. */
#define MUSTER_HEAVY(name, key_type, rows, unit, help)                                                               \
	_Static_assert(__builtin_offsetof(key_type, cell) + 8 == sizeof(key_type), "a heavy hitter's key ends in MUSTER_CELL"); \
	_Static_assert((rows) >= 3 << MUSTER_CELL_BITS, "a table of heavy hitters needs at least 6,144 rows");       \
	MUSTER_TABLE(name, key_type, 1, rows, 0, "muster:heavy:" unit ":" help)                                         \
	MUSTER_HEAVY_SLOT(name, 0, key_type)                                                                         \
	MUSTER_HEAVY_SLOT(name, 1, key_type)                                                                         \
	static __always_inline void name##_heavy(key_type *key, __u64 n)                                             \
	{                                                                                                            \
		key->cell = 0;                                                                                       \
		key->cell = muster_stirred(muster_mark((const muster_word *)key, sizeof(key_type) / 8, 0)) >>           \
			    (64 - MUSTER_CELL_BITS) << 1;                                                            \
		if (*(volatile __u64 *)&muster_control.word[0] & 1)                                                  \
			name##_heavy_1(key, n);                                                                      \
		else                                                                                                 \
			name##_heavy_0(key, n);                                                                      \
	}

/* Counts n for a key. */
#define muster_add_heavy(name, key_pointer, n) name##_heavy(key_pointer, n)

/* ---------------------------------------------------------------------------------------------- filter, first seen */

/* Bits that each value sets: (low half of its hash + i × high half, made odd) modulo the filter's bits, i = 0…6. */
#define MUSTER_FILTER_HASHES 7

struct muster_filter_key {
	__u64 word MUSTER_AS("word");
};

/*
 * A counter of values that this host had not seen before, and the Bloom filter that knows those it had, as the table
 * <name>_filter and the map <name>_bits. The map has no slots and is never cleared while the probe is loaded; each bit
 * that is set anew is counted in the filter's table, by the CPU that set it, once. filter_words is a power of two: 64
 * bits each; 12 bits for each value expected make about 1 in 200 values taken for one seen before.
 */
#define MUSTER_FIRST_SEEN(name, key_type, rows, filter_words, unit, help)                                            \
	_Static_assert(((filter_words) & ((filter_words) - 1)) == 0 && (filter_words) >= 8,                          \
		       "a filter's words are a power of two");                                                       \
	MUSTER_COUNTER(name, key_type, rows, unit, help)                                                             \
	MUSTER_TABLE(name##_filter, struct muster_filter_key, 2, filter_words, 0,                                       \
		     "muster:filter:bits:Bloom filter of the values that " #name " has seen")                        \
	struct name##_bits {                                                                                         \
		__u64 word[filter_words];                                                                            \
	};                                                                                                           \
	struct {                                                                                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                                    \
		__uint(map_flags, BPF_F_MMAPABLE);                                                                   \
		__uint(max_entries, 1);                                                                              \
		__type(key, __u32);                                                                                  \
		__type(value, struct name##_bits);                                                                   \
	} name##_bits SEC(".maps");                                                                                  \
	/* Rare, so out of line: sets a new value's bits and counts those that nothing had set. */                   \
	static __noinline void name##_remember(struct name##_bits *bits, __u32 first, __u32 step)                    \
	{                                                                                                            \
		_Pragma("clang loop unroll(disable)") for (int i = 0; i < MUSTER_FILTER_HASHES; i++, first += step)  \
		{                                                                                                    \
			const __u32 at = first & ((filter_words) * 64 - 1);                                          \
			const struct muster_filter_key key = { .word = at >> 6 };                                    \
			const __u64 bit = 1ULL << (at & 63);                                                         \
                                                                                                                     \
			if (!(__sync_fetch_and_or(&bits->word[at >> 6], bit) & bit))                                 \
				name##_filter_count(&key, 1, bit, MUSTER_ATOMIC);                                    \
		}                                                                                                    \
	}                                                                                                            \
	static __always_inline void name##_see(const key_type *key)                                                  \
	{                                                                                                            \
		const __u64 hash = muster_stirred(muster_mark((const muster_word *)key, sizeof(key_type) / 8, 0));      \
		const __u32 zero = 0, step = hash >> 32 | 1;                                                         \
		struct name##_bits *bits = bpf_map_lookup_elem(&name##_bits, &zero);                                 \
		__u64 known = 1;                                                                                     \
		__u32 at = hash;                                                                                     \
                                                                                                                     \
		if (!bits)                                                                                           \
			return;                                                                                      \
		_Pragma("unroll") for (int i = 0; i < MUSTER_FILTER_HASHES; i++, at += step)                         \
			known &= bits->word[at >> 6 & ((filter_words) - 1)] >> (at & 63);                            \
		if (known)                                                                                           \
			return;                                                                                      \
		/* A value that found no row is in the overflow, and is let through again: no label goes unsaid. */  \
		if (name##_count(key, 1, 0, MUSTER_ATOMIC))                                                          \
			name##_remember(bits, hash, step);                                                           \
	}

/* Counts the key if the filter does not know it. */
#define muster_first_seen(name, key_pointer) name##_see(key_pointer)

#endif
