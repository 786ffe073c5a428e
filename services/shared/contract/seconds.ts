/**
 * Counters that are kept by second (bpf/second.h). Of a row's values the first is the sum, as in every table; the ten behind
 * it are what of the sum fell into second 0…9 of a window of ten, by Unix time. They are cumulative, and so join like all
 * values; what second s rose by belongs to the newest second before the read whose number ends in s.
 */
import type { TableSchema } from './lineage.ts';

export const secondsOfWindow = 10;
/** The sum, and the seconds. */
export const valuesBySecond = 1 + secondsOfWindow;

export const bySecond = ({ kind, valueCount }: Pick<TableSchema, 'kind' | 'valueCount'>): boolean =>
  kind === 'counter' && valueCount === valuesBySecond;

/** How far the offset that programs add to CLOCK_BOOTTIME may be from Unix time: more is a clock that was set. */
export const clockToleranceNs = 50_000_000n;

/** Unix time minus CLOCK_BOOTTIME as programs add it: modulo 2^64, as they do. */
export const clockOffset = ({ wallNs, boottimeNs }: { readonly wallNs: bigint; readonly boottimeNs: bigint }): bigint =>
  BigInt.asUintN(64, wallNs - boottimeNs);

/** True for an offset by which seconds may be told. */
export const clockAgrees = (offsetNs: bigint, presentNs: bigint): boolean => {
  const apart = BigInt.asIntN(64, offsetNs - presentNs);
  return apart >= -clockToleranceNs && apart <= clockToleranceNs;
};
