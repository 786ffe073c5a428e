/**
 * One slot of one table, mapped: ids, hints, keys, cells, ledger. Reading copies whole 64-bit words into the caller's
 * arrays and allocates nothing once those have grown; views over live memory are kept between reads.
 * An array map's stride is its value size rounded up to 8 bytes. Layout: contract/lineage.ts.
 */
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { TableSchema } from '../contract/lineage.ts';
import { pinName } from '../contract/table-maps.ts';
import type { SlotPart } from '../contract/table-maps.ts';
import { MusterError } from '../runtime/errors.ts';
import type { TableImage } from '../runtime/ports/pinned-tables.ts';
import { drainMap, getPinned, mapEmpty, mapInfo } from './libbpf.ts';
import { mapShared } from './libc.ts';
import type { Mapping } from './libc.ts';

const ledgerFields = 5;
/** Words of a ledger at least, and where those about sampling begin; maps of earlier versions have none of these. */
const ledgerWordsMin = 8;
const samplingAt = 8;
const samplingFields = 5;
const idBytes = 4;

/** Maps a pinned array for reading and writing; the descriptor is not kept. */
export function mapPinned(path: string, name: string, bytes: number): Mapping {
  const what = `${path}/${name}`;
  const fd = getPinned(join(path, name));
  if (fd === undefined) throw new MusterError('pins/none', `open pin ${what}: it is gone`);
  try {
    const { valueBytes, maxRows } = mapInfo(fd, what);
    const have = Math.ceil(valueBytes / 8) * 8 * maxRows;
    if (have < bytes)
      throw new MusterError('bpf/map', `map ${what}: smaller than its schema`, { values: { have, bytes } });
    return mapShared(fd, have, true, what);
  } finally {
    closeSync(fd);
  }
}

export class PinnedSlot {
  private readonly keys: Mapping;
  private readonly cells: Mapping;
  private readonly ledger: Mapping;
  private readonly ids: number | undefined;
  /** Low half of the count of rows issued: it stays far below 2^32, so that this half alone never tears. */
  private readonly issued: Uint32Array;
  private readonly ledgerRuns: BigUint64Array[];
  private readonly samplingRuns: BigUint64Array[];
  /** Views of the cells in use, by CPU, made anew when more rows are issued. */
  private cellRuns: BigUint64Array[] = [];
  private cellRunRows = -1;

  constructor(
    private readonly path: string,
    private readonly schema: TableSchema,
    private readonly cpus: number,
    private readonly slot: 0 | 1,
  ) {
    const rows = schema.rows + 1;
    const opened: Mapping[] = [];
    const map = (part: SlotPart, bytes: number): Mapping => {
      opened.push(mapPinned(path, this.pinName(part), bytes));
      return opened.at(-1)!;
    };
    try {
      this.keys = map('keys', rows * (1 + schema.keyWords) * 8);
      this.cells = map('cells', cpus * rows * schema.valueCount * 8);
      this.ledger = map('ledger', cpus * ledgerWordsMin * 8);
      this.ids = getPinned(join(path, this.pinName('ids')));
    } catch (error) {
      for (const mapping of opened) mapping.unmap();
      throw error;
    }
    const { buffer, byteOffset } = this.keys.words;
    this.issued = new Uint32Array(buffer, byteOffset, 1);
    const stride = Math.floor(this.ledger.words.length / cpus);
    const runs = (from: number, count: number): BigUint64Array[] =>
      Array.from({ length: cpus }, (_, cpu) =>
        this.ledger.words.subarray(cpu * stride + from, cpu * stride + from + count),
      );
    this.ledgerRuns = runs(0, ledgerFields);
    this.samplingRuns = stride < samplingAt + samplingFields ? [] : runs(samplingAt, samplingFields);
  }

  private pinName(part: SlotPart): string {
    return pinName(this.schema.name, part, this.slot);
  }

  /** Rows first, then cells, then the ledger: every count that is copied has its `seen` copied too. */
  read(into: TableImage): void {
    const { valueCount, rows } = this.schema;
    const issued = Math.min(this.issued[0]!, rows);
    const run = (issued + 1) * valueCount;
    if (issued !== this.cellRunRows) {
      const stride = (rows + 1) * valueCount;
      this.cellRuns = Array.from({ length: this.cpus }, (_, cpu) =>
        this.cells.words.subarray(cpu * stride, cpu * stride + run),
      );
      this.cellRunRows = issued;
    }
    if (into.cells.length < this.cpus * run * 2) {
      into.cells = new Uint32Array(this.cpus * Math.min(grown(issued + 1), rows + 1) * valueCount * 2);
    }
    if (into.ledger.length < this.cpus * ledgerFields * 2) into.ledger = new Uint32Array(this.cpus * ledgerFields * 2);
    const cells = wordsOf(into.cells);
    for (let cpu = 0; cpu < this.cpus; cpu++) cells.set(this.cellRuns[cpu]!, cpu * run);
    const ledger = wordsOf(into.ledger);
    for (let cpu = 0; cpu < this.cpus; cpu++) ledger.set(this.ledgerRuns[cpu]!, cpu * ledgerFields);
    into.rowsIssued = issued;
    if (this.samplingRuns.length === 0) return;
    if (into.sampling === undefined || into.sampling.length < this.cpus * samplingFields * 2)
      into.sampling = new Uint32Array(this.cpus * samplingFields * 2);
    const sampling = wordsOf(into.sampling);
    for (let cpu = 0; cpu < this.cpus; cpu++) sampling.set(this.samplingRuns[cpu]!, cpu * samplingFields);
  }

  readKeys(first: number, last: number): Uint8Array {
    const words = 1 + this.schema.keyWords;
    return new Uint8Array(this.keys.words.slice(first * words, (last + 1) * words).buffer);
  }

  /** Everything in full, whatever the row count says: an earlier clear may have been cut short. */
  clear(): void {
    if (this.ids !== undefined) {
      drainMap(this.ids, this.schema.keyWords * 8, idBytes, this.schema.rows, `${this.path}/${this.pinName('ids')}`);
    }
    this.withHints((words) => words.fill(0n));
    this.cells.words.fill(0n);
    this.ledger.words.fill(0n);
    // Marks last but one, the row count (word 0) with them: no row can be found without its id.
    this.keys.words.fill(0n);
  }

  empty(): boolean {
    if (
      this.ids !== undefined &&
      !mapEmpty(this.ids, this.schema.keyWords * 8, `${this.path}/${this.pinName('ids')}`)
    ) {
      return false;
    }
    return (
      allZero(this.keys.words) && allZero(this.cells.words) && allZero(this.ledger.words) && this.withHints(allZero)
    );
  }

  /** Hints are mapped only while they are cleared or checked: nothing else in user space looks at them. */
  private withHints<T>(use: (words: BigUint64Array) => T): T | true {
    const fd = getPinned(join(this.path, this.pinName('hints')));
    if (fd === undefined) return true;
    closeSync(fd);
    const mapping = mapPinned(this.path, this.pinName('hints'), this.cpus * this.schema.hints * 8);
    try {
      return use(mapping.words);
    } finally {
      mapping.unmap();
    }
  }

  close(): void {
    for (const mapping of [this.keys, this.cells, this.ledger]) mapping.unmap();
    if (this.ids !== undefined) closeSync(this.ids);
  }
}

const grown = (n: number): number => Math.max(64, 2 ** Math.ceil(Math.log2(n)));

const views = new WeakMap<ArrayBufferLike, BigUint64Array>();
/** The 64-bit view of a caller's array of limbs; one for the life of the array. */
function wordsOf(limbs: Uint32Array): BigUint64Array {
  let view = views.get(limbs.buffer);
  if (!view) {
    view = new BigUint64Array(limbs.buffer, limbs.byteOffset, limbs.length >>> 1);
    views.set(limbs.buffer, view);
  }
  return view;
}

/** Compared in halves: a half of zero tears into nothing else. */
function allZero(words: BigUint64Array): boolean {
  const halves = new Int32Array(words.buffer, words.byteOffset, words.length * 2);
  for (let i = 0; i < halves.length; i++) if (halves[i] !== 0) return false;
  return true;
}
