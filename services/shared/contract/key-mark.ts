/**
 * The mark of a ready key: its hash, made odd. `muster_mark` in bpf/muster.bpf.h computes the same:
 *   Σ word[i] × K^(i+1) mod 2^64, K odd; then | 1
 * A key of which only some words are written yet has another hash than its mark, in whatever order a CPU sees them.
 */
const K = 0x9e3779b97f4a7c15n;

/** Mark of the key whose `words` 64-bit little-endian words start at byte `at`. */
export function keyMark(keys: DataView, at: number, words: number): bigint {
  let hash = 0n;
  let factor = K;
  for (let i = 0; i < words; i++) {
    hash += keys.getBigUint64(at + i * 8, true) * factor;
    factor = BigInt.asUintN(64, factor * K);
  }
  return BigInt.asUintN(64, hash) | 1n;
}
