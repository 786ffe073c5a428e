/** Tables that are kept by second: what the windows say fell into each second, against what the kernels know. */
import { toBigInt } from '../../services/shared/algebra/limbs.ts';
import type { SeriesValues, WindowValues } from '../../services/shared/contract/checkpoint-codec.ts';
import { secondsOfWindow, valuesBySecond } from '../../services/shared/contract/seconds.ts';
import type { SimLineage } from './pins.ts';

/** What the windows of one table of one host say. */
export interface SecondsReading {
  /** By Unix second. */
  readonly points: Map<number, bigint>;
  /** Stands at the second in which it was read. */
  undivided: bigint;
  /** Rows of windows that are not the sum of their seconds. */
  uneven: number;
}

export const noSeconds = (): SecondsReading => ({ points: new Map(), undivided: 0n, uneven: 0 });

export function addSeconds(into: SecondsReading, window: WindowValues, increments: SeriesValues, undivided = 0n): void {
  const { count, values, valueCount } = increments;
  if (valueCount !== valuesBySecond) return;
  into.undivided += undivided;
  for (let i = 0; i < count; i++) {
    let sum = 0n;
    for (let s = 0; s < secondsOfWindow; s++) {
      const value = toBigInt(values, ((1 + s) * count + i) * 2);
      const at = window.startMs / 1000 + s;
      if (value > 0n) into.points.set(at, (into.points.get(at) ?? 0n) + value);
      sum += value;
    }
    if (sum !== toBigInt(values, i * 2)) into.uneven++;
  }
}

/** What stands in another second than it happened in is twice in the difference, and was said to be undivided. */
export function misplaced(
  lineages: readonly SimLineage[],
  table: string,
  { points, undivided }: SecondsReading,
): string {
  const truth = new Map<number, bigint>();
  for (const { model, seconds } of lineages) {
    const t = model.tables.findIndex((s) => s.name === table);
    if (t < 0) continue;
    for (const [at, n] of seconds[t]!) truth.set(at, (truth.get(at) ?? 0n) + BigInt(n));
  }
  let apart = 0n;
  for (const at of new Set([...truth.keys(), ...points.keys()])) {
    const difference = (points.get(at) ?? 0n) - (truth.get(at) ?? 0n);
    apart += difference < 0n ? -difference : difference;
  }
  return apart > 2n * undivided ? `${apart / 2n} stand in a wrong second, and ${undivided} are said to` : '';
}
