/**
 * Counters of 64 bits as two u32 limbs in a Uint32Array, low first: exact past 2^53 with neither BigInt nor object
 * a value. `i` is always the index of the low limb. The layout is a little-endian u64's, so that a copy of kernel
 * memory is one as it stands.
 */

/** target[t] += source[s]; wraps at 2^64 like the kernel's own. */
export function addInto(target: Uint32Array, t: number, source: Uint32Array, s: number): void {
  const low = target[t]! + source[s]!;
  target[t] = low;
  target[t + 1] = target[t + 1]! + source[s + 1]! + (low > 0xffffffff ? 1 : 0);
}

/** target[t] |= source[s]. */
export function uniteInto(target: Uint32Array, t: number, source: Uint32Array, s: number): void {
  target[t] = target[t]! | source[s]!;
  target[t + 1] = target[t + 1]! | source[s + 1]!;
}

/** -1, 0 or 1 as a[i] is below, equal to or above b[j]. */
export function compare(a: Uint32Array, i: number, b: Uint32Array, j: number): -1 | 0 | 1 {
  const high = a[i + 1]! - b[j + 1]!;
  const d = high !== 0 ? high : a[i]! - b[j]!;
  return d < 0 ? -1 : d > 0 ? 1 : 0;
}

/**
 * The join: raises last[l] to value[v] and adds the difference to sum[s]. Returns whether it rose.
 * Idempotent, commutative and associative in `last`; `sum` receives each unit once.
 */
export function joinMax(
  last: Uint32Array,
  l: number,
  value: Uint32Array,
  v: number,
  sum: Uint32Array,
  s: number,
): boolean {
  const vHigh = value[v + 1]!;
  const vLow = value[v]!;
  const high = vHigh - last[l + 1]!;
  const low = vLow - last[l]!;
  if (high < 0 || (high === 0 && low <= 0)) return false;
  const sLow = sum[s]! + (low >>> 0);
  sum[s] = sLow;
  sum[s + 1] = sum[s + 1]! + high - (low < 0 ? 1 : 0) + (sLow > 0xffffffff ? 1 : 0);
  last[l] = vLow;
  last[l + 1] = vHigh;
  return true;
}

export const toBigInt = (a: Uint32Array, i: number): bigint => (BigInt(a[i + 1]!) << 32n) | BigInt(a[i]!);

export function setBigInt(a: Uint32Array, i: number, value: bigint): void {
  a[i] = Number(value & 0xffffffffn);
  a[i + 1] = Number((value >> 32n) & 0xffffffffn);
}

/** Nearest double; exact below 2^53. For rates and sorting, never for totals. */
export const toNumber = (a: Uint32Array, i: number): number => a[i + 1]! * 0x100000000 + a[i]!;
