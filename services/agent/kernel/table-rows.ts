/**
 * The rows of one table in one generation, as of the newest image: sums over the CPUs, and the keys learnt so far.
 * Invariant: a row's key is learnt once, from an entry whose mark is the hash of its words, and never changes within
 * the generation. Row 0, the overflow, has no key.
 */
import { keyMark } from '../../shared/contract/key-mark.ts';
import type { TableSchema } from '../../shared/contract/lineage.ts';
import type { TableImage } from '../../shared/runtime/ports/pinned-tables.ts';
import { addInto } from '../../shared/algebra/limbs.ts';
import { ledgerFields, samplingFields, sumCells, sumLedger, sumSampling } from './sum-cpus.ts';

export interface TableRows {
  readonly schema: TableSchema;
  /** Rows 1…rowsIssued exist. */
  rowsIssued: number;
  /** Value v of row r at (r · valueCount + v) · 2, low limb first. */
  values: Uint32Array;
  /** Key words of row r at r · keyWords · 8, valid where known[r] is 1. */
  keys: DataView;
  known: Uint8Array;
  /** Lowest row whose key is not known. It may stay so: each CPU may hold one row that no key has yet. */
  firstUnknown: number;
  /** seen, failed[4], two limbs each. `seen` is what rows were given: of what was sampled, the given. */
  readonly ledger: Uint32Array;
  /** seen, given, both for the second value, largest weight; two limbs each. All zero unless labels were sampled. */
  readonly sampling: Uint32Array;
}

export const createTableRows = (schema: TableSchema): TableRows => ({
  schema,
  rowsIssued: 0,
  values: new Uint32Array(schema.valueCount * 2),
  keys: new DataView(new ArrayBuffer(0)),
  known: new Uint8Array(1),
  firstUnknown: 1,
  ledger: new Uint32Array(ledgerFields * 2),
  sampling: new Uint32Array(samplingFields * 2),
});

/** Takes over an image and the key entries that came with it, of rows `keysFrom` and up. */
export function takeImage(rows: TableRows, image: TableImage, cpus: number, keys: Uint8Array, keysFrom: number): void {
  const { valueCount } = rows.schema;
  rows.rowsIssued = image.rowsIssued;
  grow(rows, image.rowsIssued + 1);
  sumCells(image, cpus, valueCount, rows.values);
  sumLedger(image, cpus, rows.ledger);
  if (image.sampling) sumSampling(image.sampling, cpus, rows.sampling);
  addInto(rows.ledger, 0, rows.sampling, 2);
  if (keys.length > 0) learnKeys(rows, keys, keysFrom);
}

function grow(rows: TableRows, count: number): void {
  if (rows.known.length >= count) return;
  const { valueCount, keyWords, rows: capacity } = rows.schema;
  const room = Math.min(capacity + 1, Math.max(64, count * 2));
  rows.values = new Uint32Array(room * valueCount * 2);
  const known = new Uint8Array(room);
  known.set(rows.known);
  rows.known = known;
  const keys = new Uint8Array(room * keyWords * 8);
  keys.set(new Uint8Array(rows.keys.buffer));
  rows.keys = new DataView(keys.buffer);
}

function learnKeys(rows: TableRows, entries: Uint8Array, from: number): void {
  const keyBytes = rows.schema.keyWords * 8;
  const entryBytes = keyBytes + 8;
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  const target = new Uint8Array(rows.keys.buffer);
  const count = Math.floor(entries.length / entryBytes);
  for (let i = 0; i < count; i++) {
    const row = from + i;
    const at = i * entryBytes;
    if (rows.known[row] === 1) continue;
    // Mark 0: the program that issued the row has not written it yet. Another mark: a half-written key.
    const mark = view.getBigUint64(at, true);
    if (mark === 0n || mark !== keyMark(view, at + 8, rows.schema.keyWords)) continue;
    target.set(entries.subarray(at + 8, at + entryBytes), row * keyBytes);
    rows.known[row] = 1;
  }
  while (rows.firstUnknown <= rows.rowsIssued && rows.known[rows.firstUnknown] === 1) rows.firstUnknown++;
}

/** From which row the next read needs keys: a row that nothing counted in can wait for its key. */
export function keysNeededFrom(rows: TableRows): number {
  const stride = rows.schema.valueCount * 2;
  let row = rows.firstUnknown;
  while (row <= rows.rowsIssued && (rows.known[row] === 1 || isZero(rows.values, row * stride, stride))) row++;
  return row;
}

/**
 * For a sealed slot, where no key can become ready any more: moves counts of rows without a valid key to the
 * overflow row, so that no event is left out. Returns how many rows that concerned.
 */
export function foldUnknownRows(rows: TableRows): number {
  const { valueCount } = rows.schema;
  const v = rows.values;
  let folded = 0;
  for (let row = rows.firstUnknown; row <= rows.rowsIssued; row++) {
    if (rows.known[row] === 1 || isZero(v, row * valueCount * 2, valueCount * 2)) continue;
    folded++;
    for (let i = 0; i < valueCount * 2; i += 2) addInto(v, i, v, row * valueCount * 2 + i);
    v.fill(0, row * valueCount * 2, (row + 1) * valueCount * 2);
  }
  return folded;
}

export function isZero(limbs: Uint32Array, at: number, length: number): boolean {
  for (let i = at; i < at + length; i++) if (limbs[i] !== 0) return false;
  return true;
}

/** Σ of the first value over all rows, the overflow row included: what `seen` must equal once sealed. Two limbs. */
export function sumOfRows(rows: TableRows): Uint32Array {
  const sum = new Uint32Array(2);
  const stride = rows.schema.valueCount * 2;
  for (let row = 0; row <= rows.rowsIssued; row++) addInto(sum, 0, rows.values, row * stride);
  return sum;
}
