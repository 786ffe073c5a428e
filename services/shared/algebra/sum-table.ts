/**
 * Sums by series, dense, as two u32 limbs: value v of series s at (s · valueCount + v) · 2. Grows with the series.
 * One value may be a set of bits, which joins by OR (a Bloom filter's words, which several lineages may have set).
 */
import { addInto, uniteInto } from './limbs.ts';

export class SumTable {
  values: Uint32Array;
  /** Series that have room; beyond it all is zero. */
  size: number;

  constructor(
    readonly valueCount: number,
    size = 0,
    /** The value that is a set of bits; -1: none. */
    readonly bitsAt = -1,
  ) {
    this.size = size;
    this.values = new Uint32Array(size * valueCount * 2);
  }

  /** Makes room for series 0 … size - 1. */
  reserve(size: number): void {
    if (size <= this.size) return;
    const room = Math.max(size, this.size + (this.size >> 1), 16);
    const larger = new Uint32Array(room * this.valueCount * 2);
    larger.set(this.values);
    this.values = larger;
    this.size = room;
  }

  /** Adds all values of a series, modulo 2^64; joins bits. */
  add(series: number, source: Uint32Array, at: number): void {
    const target = series * this.valueCount * 2;
    for (let v = 0; v < this.valueCount; v++) {
      if (v === this.bitsAt) uniteInto(this.values, target + v * 2, source, at + v * 2);
      else addInto(this.values, target + v * 2, source, at + v * 2);
    }
  }

  /** Puts back what nonZero() gave. */
  restore(from: { readonly count: number; readonly series: Uint32Array; readonly values: Uint32Array }): void {
    for (let i = 0; i < from.count; i++) {
      const s = from.series[i]!;
      this.reserve(s + 1);
      for (let v = 0; v < this.valueCount; v++) {
        const to = (s * this.valueCount + v) * 2;
        this.values[to] = from.values[(v * from.count + i) * 2]!;
        this.values[to + 1] = from.values[(v * from.count + i) * 2 + 1]!;
      }
    }
  }

  /** Series with any value above zero, ascending, and their values in columns. */
  nonZero(): { count: number; series: Uint32Array; values: Uint32Array } {
    const stride = this.valueCount * 2;
    let count = 0;
    const series = new Uint32Array(this.size);
    for (let s = 0, at = 0; s < this.size; s++, at += stride) {
      for (let w = 0; w < stride; w++) {
        if (this.values[at + w] !== 0) {
          series[count++] = s;
          break;
        }
      }
    }
    const values = new Uint32Array(count * stride);
    for (let i = 0; i < count; i++) {
      const at = series[i]! * stride;
      for (let v = 0; v < this.valueCount; v++) {
        values[(v * count + i) * 2] = this.values[at + v * 2]!;
        values[(v * count + i) * 2 + 1] = this.values[at + v * 2 + 1]!;
      }
    }
    return { count, series: series.subarray(0, count), values };
  }
}
