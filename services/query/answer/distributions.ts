/**
 * A histogram's counts by group, step and bucket. Made in one pass over the cells that exist: groups × steps × buckets
 * is far more, nearly all of it empty.
 */
import type { Grouped } from './grouped.ts';

/** Count by bucket number, ascending, nothing that is zero. */
export type Distribution = readonly (readonly [bucket: number, count: bigint])[];

export interface Distributed {
  readonly whole: Distribution;
  readonly steps: readonly Distribution[];
}

export interface Distributions {
  /** All groups together. */
  readonly overall: Distributed;
  /** One group; takes as long as it has cells. */
  of(group: number): Distributed;
}

/** A few milliseconds' worth. */
const cellsPerYield = 16_384;

export function* distribute(grouped: Grouped): Generator<void, Distributions> {
  const { cells, counts, buckets, groups } = grouped;
  // Cells in the order of their groups, by a counting sort: two arrays, and no object a group.
  const starts = new Uint32Array(groups.labels.length + 1);
  let passed = 0;
  for (const { group } of cells.places()) {
    starts[group + 1]!++;
    if (++passed % cellsPerYield === 0) yield;
  }
  for (let g = 1; g < starts.length; g++) starts[g]! += starts[g - 1]!;
  const free = starts.slice();
  const order = new Uint32Array(cells.size);
  const places = new Uint32Array(cells.size);
  const all = tally(cells.steps);
  let cell = 0;
  for (const { group, step, column } of cells.places()) {
    const at = free[group]!++;
    order[at] = cell;
    places[at] = step * buckets.length + column;
    all.add(step, buckets[column]!, counts.at(cell));
    if (++cell % cellsPerYield === 0) yield;
  }
  return {
    overall: all.result(),
    of(group) {
      const own = tally(cells.steps);
      for (let at = starts[group]!; at < starts[group + 1]!; at++) {
        const place = places[at]!;
        const step = Math.floor(place / buckets.length);
        own.add(step, buckets[place % buckets.length]!, counts.at(order[at]!));
      }
      return own.result();
    },
  };
}

function tally(stepCount: number): {
  add(step: number, bucket: number, count: bigint): void;
  result(): Distributed;
} {
  const steps = Array.from({ length: stepCount }, () => new Map<number, bigint>());
  const whole = new Map<number, bigint>();
  const sorted = (by: Map<number, bigint>): Distribution => [...by].sort(([a], [b]) => a - b);
  return {
    add(step, bucket, count) {
      for (const by of [whole, steps[step]!]) by.set(bucket, (by.get(bucket) ?? 0n) + count);
    },
    result: () => ({ whole: sorted(whole), steps: steps.map(sorted) }),
  };
}
