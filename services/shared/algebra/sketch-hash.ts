/**
 * Stirs a key's mark (contract/key-mark.ts) until each bit depends on all: the finalizer of MurmurHash3 (public domain),
 * as muster_stirred in bpf/sketch.h computes it. All sketches take their bits from here.
 */
const u64 = (n: bigint): bigint => BigInt.asUintN(64, n);

export function stir(mark: bigint): bigint {
  mark = u64((mark ^ (mark >> 33n)) * 0xff51afd7ed558ccdn);
  mark = u64((mark ^ (mark >> 33n)) * 0xc4ceb9fe1a85ec53n);
  return mark ^ (mark >> 33n);
}
