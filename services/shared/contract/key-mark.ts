/**
 * The mark of a ready key: muster_mark in bpf/muster.bpf.h. Sum of word[i] × K^(i+1) mod 2^64, made odd, so that it is
 * never 0 and a key of which only some words have been written carries the mark of no other.
 */
const k = 0x9e3779b97f4a7c15n;

/** Mark of a key, given as its 64-bit words. */
export function keyMark(words: Iterable<bigint>): bigint {
  let hash = 0n;
  let factor = k;
  for (const word of words) {
    hash += word * factor;
    factor = (factor * k) & 0xffff_ffff_ffff_ffffn;
  }
  return BigInt.asUintN(64, hash) | 1n;
}

/** True if an entry of a keys map (mark, then words; little-endian) is ready and whole. */
export function entryIsReady(entry: DataView): boolean {
  const mark = entry.getBigUint64(0, true);
  if (mark === 0n) return false;
  const words: bigint[] = [];
  for (let at = 8; at < entry.byteLength; at += 8) words.push(entry.getBigUint64(at, true));
  return mark === keyMark(words);
}
