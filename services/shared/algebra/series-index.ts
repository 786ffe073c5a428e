/**
 * The series of one host's table: label values ↔ dense numbers, in order of first sight. Rows that decode alike are
 * one series. Series 0 is the overflow row's and has no labels of its own. Numbers are never re-used.
 */
import { assert } from '../runtime/assert.ts';

export class SeriesIndex {
  private readonly numbers = new Map<string, number>();
  /** Labels of all series, flat. */
  private readonly labels: string[];
  private count = 1;

  constructor(readonly labelCount: number) {
    this.labels = new Array<string>(labelCount).fill('');
  }

  /** Number of series, series 0 included. */
  get size(): number {
    return this.count;
  }

  /** The number of these labels; a new one when they were never seen. */
  intern(labels: readonly string[]): number {
    const key = keyOf(labels);
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    return this.append(key, labels);
  }

  /** Label values of series first … first + count - 1, flat. */
  slice(first: number, count: number): string[] {
    return this.labels.slice(first * this.labelCount, (first + count) * this.labelCount);
  }

  /** Puts back a series that was numbered before; numbers come in order. */
  restore(series: number, labels: readonly string[]): void {
    if (series === 0) return;
    assert(series === this.count, `series ${series} restored after ${this.count - 1}`);
    this.append(keyOf(labels), labels);
  }

  private append(key: string, labels: readonly string[]): number {
    const series = this.count++;
    this.numbers.set(key, series);
    for (let l = 0; l < this.labelCount; l++) this.labels.push(labels[l]!);
    return series;
  }
}

/** Lengths in front keep ["a", "bc"] and ["ab", "c"] apart whatever the labels hold. */
function keyOf(labels: readonly string[]): string {
  if (labels.length === 1) return labels[0]!;
  let key = '';
  for (const label of labels) key += `${label.length}:${label}`;
  return key;
}
