/** Seeded pseudo-random numbers: xorshift128 over 32-bit words, filled from a 64-bit seed by splitmix64. */
export interface Random {
  /** A u32. */
  next(): number;
  /** 0 ≤ n < bound; bound from 1 to 2^32. */
  below(bound: number): number;
  /** low ≤ n ≤ high. */
  between(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
  bytes(length: number): Uint8Array;
  /** An independent stream, so that a choice more here changes nothing there. */
  fork(): Random;
}

const mask = (1n << 64n) - 1n;

export function createRandom(seed: bigint): Random {
  let s = seed & mask;
  const split = (): bigint => {
    s = (s + 0x9e3779b97f4a7c15n) & mask;
    let z = s;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    return z ^ (z >> 31n);
  };
  const first = split();
  const second = split();
  let a = Number(first & 0xffffffffn) | 1;
  let b = Number(first >> 32n) | 0;
  let c = Number(second & 0xffffffffn) | 0;
  let d = Number(second >> 32n) | 0;
  const next = (): number => {
    const t = a ^ (a << 11);
    a = b;
    b = c;
    c = d;
    d = d ^ (d >>> 19) ^ t ^ (t >>> 8);
    return d >>> 0;
  };
  const below = (bound: number): number => Math.floor((next() / 0x100000000) * bound);
  return {
    next,
    below,
    between: (low, high) => low + below(high - low + 1),
    chance: (probability) => next() / 0x100000000 < probability,
    pick: (from) => from[below(from.length)]!,
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
    fork: () => createRandom((BigInt(next()) << 32n) | BigInt(next())),
  };
}
