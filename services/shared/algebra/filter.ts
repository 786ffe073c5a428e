/**
 * Bloom filters. A value sets 7 bits; a filter that has all of them set has probably seen the value, one that lacks any
 * has not. The filter of a host is the OR of its rows (a row for each word: how many bits were set, and which), the
 * filter of a fleet the OR of its hosts'. A value that was not seen is taken for one that was with the probability that
 * seven bits are set by others: (bits set / bits)^7.
 * Sources: Bloom 1970; Kirsch, Mitzenmacher 2006 (seven hashes from two).
 */
export const filterHashes = 7;

/** The bits of a value by its stirred hash: muster_first_seen in bpf/sketch.h. `bits` is a power of two. */
export function bitsOf(hash: bigint, bits: number): number[] {
  const first = Number(hash & 0xffffffffn);
  const step = (Number(hash >> 32n) | 1) >>> 0;
  return Array.from({ length: filterHashes }, (_, i) => ((first + i * step) % 2 ** 32) % bits);
}

/** Words of 64 bits as two limbs, low first. */
export type FilterWords = Uint32Array;

export const hasBit = (words: FilterWords, bit: number): boolean => ((words[bit >>> 5]! >>> (bit & 31)) & 1) === 1;

export const hasAll = (words: FilterWords, bits: readonly number[]): boolean => bits.every((bit) => hasBit(words, bit));

export function bitsSet(words: FilterWords): number {
  let set = 0;
  for (let limb of words) for (; limb !== 0; limb = (limb & (limb - 1)) >>> 0) set++;
  return set;
}

/** Probability that a filter with so many of its bits set knows a value that it never saw. */
export const falsePositiveRate = (set: number, bits: number): number => (bits === 0 ? 0 : (set / bits) ** filterHashes);
