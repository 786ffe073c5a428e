/**
 * The series of one host's table: label values ↔ dense numbers, in order of first sight. Rows that decode alike are
 * one series. Series 0 is the overflow row's and has no labels of its own. Numbers are never re-used.
 *
 * A series costs a pointer a label and two to four slots of four bytes: numbers hashed by their labels, open addressing,
 * no key of their own; equal label values of all hosts are one string where they come close together.
 */
import { assert } from '../runtime/assert.ts';

/** Label values seen lately, so that hosts share them; emptied when full, which costs memory and nothing else. */
const shared = new Map<string, string>();
const sharedMax = 1 << 16;
let seed = 0x811c9dc5;

/** Makes the places of labels in the index unlike those of any other process: nobody can choose labels that collide. */
export const seedSeriesIndex = (n: number): void => void (seed = n >>> 0);

export class SeriesIndex {
  /** Numbers of series, at the hash of their labels or behind; 0: free. A power of two, at most half full. */
  private slots = new Uint32Array(16);
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

  /** The number of these labels; a new one when they were never seen, or 0 where it may not grow. */
  intern(labels: readonly string[], mayGrow = true): number {
    const mask = this.slots.length - 1;
    let at = hashOf(labels, 0, this.labelCount) & mask;
    for (let s = this.slots[at]!; s !== 0; s = this.slots[(at = (at + 1) & mask)]!) if (this.is(s, labels)) return s;
    return mayGrow ? this.append(labels) : 0;
  }

  /** Label values of series first … first + count - 1, flat. */
  slice(first: number, count: number): string[] {
    return this.labels.slice(first * this.labelCount, (first + count) * this.labelCount);
  }

  /** Puts back a series that was numbered before; numbers come in order. */
  restore(series: number, labels: readonly string[]): void {
    if (series === 0) return;
    assert(series === this.count, `series ${series} restored after ${this.count - 1}`);
    this.append(labels);
  }

  private is(series: number, labels: readonly string[]): boolean {
    const at = series * this.labelCount;
    for (let l = 0; l < this.labelCount; l++) if (this.labels[at + l] !== labels[l]) return false;
    return true;
  }

  private append(labels: readonly string[]): number {
    const series = this.count++;
    for (let l = 0; l < this.labelCount; l++) this.labels.push(share(labels[l]!));
    if (this.count * 2 > this.slots.length) this.rehash();
    else this.place(series);
    return series;
  }

  private place(series: number): void {
    const mask = this.slots.length - 1;
    let at = hashOf(this.labels, series * this.labelCount, this.labelCount) & mask;
    while (this.slots[at] !== 0) at = (at + 1) & mask;
    this.slots[at] = series;
  }

  private rehash(): void {
    this.slots = new Uint32Array(this.slots.length * 2);
    for (let series = 1; series < this.count; series++) this.place(series);
  }
}

function share(label: string): string {
  const known = shared.get(label);
  if (known !== undefined) return known;
  if (shared.size >= sharedMax) shared.clear();
  shared.set(label, label);
  return label;
}

/** FNV-1a over code units, with a separator behind each label, and a final mix. */
function hashOf(labels: readonly string[], first: number, count: number): number {
  let h = seed;
  for (let l = first; l < first + count; l++) {
    const label = labels[l]!;
    for (let i = 0; i < label.length; i++) h = Math.imul(h ^ label.charCodeAt(i), 0x01000193);
    h = Math.imul(h ^ 0x1ffff, 0x01000193) ^ (h >>> 15);
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}
