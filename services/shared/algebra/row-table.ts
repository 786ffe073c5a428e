/**
 * The rows of one generation of one table: the newest cumulative values, and the series each row counts for.
 * A join-semilattice: values only rise, so that repeated, late and lost batches all end in the same state
 * (a state-based grow-only counter per row).
 */
import { assert } from '../runtime/assert.ts';
import { addInto, joinMax } from './limbs.ts';
import type { SumTable } from './sum-table.ts';

/** A row whose labels are not known yet. */
export const noSeries = 0xffffffff;
/** Rows of one page: what changed is written page by page. */
export const rowsPerPage = 4096;

/** Rows as a batch brings them: value v of row i at (v · count + i) · 2. */
export interface IncomingRows {
  readonly rowCount: number;
  readonly ids: Uint32Array;
  readonly values: Uint32Array;
}

export class RowTable {
  series: Uint32Array = new Uint32Array(0);
  /** Value v of row r at (r · valueCount + v) · 2. */
  last: Uint32Array = new Uint32Array(0);
  /** Highest row known, plus one. */
  rows = 0;
  /** Pages that changed since they were last taken. */
  readonly changed = new Set<number>();

  constructor(readonly valueCount: number) {}

  isDefined(row: number): boolean {
    return row < this.rows && this.series[row] !== noSeries;
  }

  /** Says what a row counts for. A row keeps its first series: true when it was new. */
  define(row: number, series: number): boolean {
    this.reserve(row + 1);
    if (this.series[row] !== noSeries) return false;
    this.series[row] = series;
    this.changed.add(Math.floor(row / rowsPerPage));
    return true;
  }

  /**
   * Joins rows by maximum and adds what they rose by to their series in `sums`, or to nothing where `dated` refuses
   * the row. Rows without a series are left alone; the first of them is returned, or -1.
   */
  join(block: IncomingRows, sums: SumTable | undefined, dated?: (row: number) => boolean): number {
    const { rowCount, ids, values } = block;
    const { valueCount, series, last } = this;
    let unknown = -1;
    let page = -1;
    for (let i = 0; i < rowCount; i++) {
      const row = ids[i]!;
      const s = row < this.rows ? series[row]! : noSeries;
      if (s === noSeries) {
        if (unknown < 0) unknown = row;
        continue;
      }
      const into = sums !== undefined && (dated === undefined || dated(row)) ? sums : undefined;
      const target = into ? into.values : nowhere;
      let rose = false;
      for (let v = 0; v < valueCount; v++) {
        const at = into ? (s * valueCount + v) * 2 : 0;
        if (joinMax(last, (row * valueCount + v) * 2, values, (v * rowCount + i) * 2, target, at)) rose = true;
      }
      const p = row >>> 12;
      if (rose && p !== page) this.changed.add((page = p));
    }
    return unknown;
  }

  /** Adds every row's values to its series. */
  addTo(sums: SumTable): void {
    for (let row = 0; row < this.rows; row++) {
      if (this.series[row] !== noSeries) sums.add(this.series[row]!, this.last, row * this.valueCount * 2);
    }
  }

  /** Σ of the first value over all rows, the overflow row included. */
  total(): bigint {
    const sum = new Uint32Array(2);
    for (let row = 0; row < this.rows; row++) addInto(sum, 0, this.last, row * this.valueCount * 2);
    return (BigInt(sum[1]!) << 32n) | BigInt(sum[0]!);
  }

  /** First value of the overflow row. */
  overflow(): bigint {
    return this.rows === 0 ? 0n : (BigInt(this.last[1]!) << 32n) | BigInt(this.last[0]!);
  }

  /** Row 0 must be defined again. */
  forgetOverflow(): void {
    if (this.rows > 0) this.series[0] = noSeries;
  }

  /** Puts back a page as page() gave it. */
  restore(page: {
    readonly count: number;
    readonly rows: Uint32Array;
    readonly series: Uint32Array;
    readonly values: Uint32Array;
  }): void {
    for (let i = 0; i < page.count; i++) {
      const row = page.rows[i]!;
      this.reserve(row + 1);
      this.series[row] = page.series[i]!;
      for (let v = 0; v < this.valueCount; v++) {
        const to = (row * this.valueCount + v) * 2;
        this.last[to] = page.values[(v * page.count + i) * 2]!;
        this.last[to + 1] = page.values[(v * page.count + i) * 2 + 1]!;
      }
    }
  }

  /** Known rows of a page, ascending, values in columns. */
  page(page: number): { count: number; rows: Uint32Array; series: Uint32Array; values: Uint32Array } {
    const first = page * rowsPerPage;
    const end = Math.min(this.rows, first + rowsPerPage);
    const rows = new Uint32Array(Math.max(0, end - first));
    let count = 0;
    for (let row = first; row < end; row++) if (this.series[row] !== noSeries) rows[count++] = row;
    const series = new Uint32Array(count);
    const values = new Uint32Array(count * this.valueCount * 2);
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      series[i] = this.series[row]!;
      for (let v = 0; v < this.valueCount; v++) {
        const from = (row * this.valueCount + v) * 2;
        values[(v * count + i) * 2] = this.last[from]!;
        values[(v * count + i) * 2 + 1] = this.last[from + 1]!;
      }
    }
    return { count, rows: rows.subarray(0, count), series, values };
  }

  private reserve(rows: number): void {
    if (rows <= this.rows) return;
    if (rows > this.series.length) {
      const room = Math.max(rows, this.series.length + (this.series.length >> 1), 64);
      const series = new Uint32Array(room).fill(noSeries);
      series.set(this.series);
      const last = new Uint32Array(room * this.valueCount * 2);
      last.set(this.last);
      [this.series, this.last] = [series, last];
    }
    this.rows = rows;
  }
}

const nowhere = new Uint32Array(2);

// The page of a row is taken by a shift in the hot loop.
assert(rowsPerPage === 1 << 12, 'rows per page is 2^12');
