/**
 * What a scan leaves: sums by group, and by cell where time or a histogram's buckets split the groups. Holds no host and
 * no blob, so that an answer kept for its next page keeps nothing else alive.
 */
import type { Groups } from './groups.ts';
import type { Sums } from './sums.ts';

export interface Grouped {
  readonly groups: Groups;
  /** First value by group. */
  readonly totals: Sums;
  /** Second value (a histogram's sum) by group. */
  readonly sums: Sums;
  /** Hosts that added to each group. */
  readonly hostCounts: Uint32Array;
  /** Buckets, or a distinct count's pairs, in use, by column; empty unless asked for. */
  readonly buckets: readonly number[];
  /** A heavy hitters' cell of each group whose keys lie in one, else -1. */
  readonly groupCells: ReadonlyMap<number, number>;
  readonly cells: Cells;
  /** First value by cell; empty unless there are steps or buckets. */
  readonly counts: Sums;
}

/** Columns are buckets, or the pairs of a distinct count: up to 1,024 × 64. */
const columnsMax = 2 ** 17;

/** Cells as dense numbers: group × step × bucket column, made when first added to. */
export class Cells {
  readonly #cells = new Map<number, number>();

  constructor(readonly steps: number) {}

  get size(): number {
    return this.#cells.size;
  }

  /** The cell, made now when it is new. */
  reach(group: number, step: number, column: number): number {
    const key = this.#key(group, step, column);
    let cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, (cell = this.#cells.size));
    return cell;
  }

  /** The cell, or -1 when nothing was added there. */
  find(group: number, step: number, column: number): number {
    return this.#cells.get(this.#key(group, step, column)) ?? -1;
  }

  /** Where every cell is, in the order they were made. */
  *places(): Generator<{ group: number; step: number; column: number }> {
    for (const key of this.#cells.keys()) {
      const row = Math.floor(key / columnsMax);
      yield { group: Math.floor(row / this.steps), step: row % this.steps, column: key % columnsMax };
    }
  }

  #key(group: number, step: number, column: number): number {
    return (group * this.steps + step) * columnsMax + column;
  }
}

/** Value of a group at a step, all buckets together. */
export function valueAt(grouped: Grouped, group: number, step: number): bigint {
  // One step alone makes no cells: its values are the totals.
  if (grouped.cells.steps === 1) return grouped.totals.at(group);
  const cell = grouped.cells.find(group, step, 0);
  return cell < 0 ? 0n : grouped.counts.at(cell);
}
