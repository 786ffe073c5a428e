/**
 * The column block: rows of numbers with few bytes and no object a row. On the wire (ids are kernel rows), in
 * checkpoints (ids are series) and in windows (values are increments). All integers are LEB128 varints.
 *
 *   version = 1 | labelCount L | valueCount V
 *   stringCount | { byteLength | utf-8 }*
 *   definitionCount | { id - previous id | L × string index }*        previous starts at 0, ids ascend strictly
 *   rowCount | { id - previous id }*                                  likewise
 *   V columns of rowCount values (u64)
 *
 * Worked: rows 1 and 3 with values 300 and 5, no definitions: 01 00 01 00 00 02 01 02 ac 02 05.
 */
import { MusterError } from '../runtime/errors.ts';

export const blockVersion = 1;
/** Bounds of one block; beyond them it is malformed. */
export const blockLimits = { rows: 1 << 20, strings: 1 << 20, stringBytes: 4096, labels: 32, values: 16 } as const;

export interface Definition {
  readonly id: number;
  readonly labels: readonly string[];
}

/** Rows as typed arrays; `values` holds V columns after each other: value v of row r at (v · rowCount + r) · 2, two limbs. */
export interface Columns {
  labelCount: number;
  valueCount: number;
  definitions: Definition[];
  rowCount: number;
  ids: Uint32Array;
  values: Uint32Array;
}

export const emptyColumns = (labelCount = 0, valueCount = 1, rows = 0): Columns => ({
  labelCount,
  valueCount,
  definitions: [],
  rowCount: 0,
  ids: new Uint32Array(rows),
  values: new Uint32Array(rows * valueCount * 2),
});

/** Makes room for `rows` rows, keeping nothing. */
export function reserveRows(c: Columns, rows: number, valueCount: number): void {
  c.valueCount = valueCount;
  if (c.ids.length < rows) c.ids = new Uint32Array(grow(rows));
  if (c.values.length < rows * valueCount * 2) c.values = new Uint32Array(grow(rows) * valueCount * 2);
}

const grow = (n: number): number => Math.max(64, 2 ** Math.ceil(Math.log2(Math.max(1, n))));
const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { ignoreBOM: true });

/** Writes varints into one growing buffer, kept between calls: encoding allocates the result only. */
class Writer {
  bytes = new Uint8Array(4096);
  at = 0;

  room(n: number): void {
    if (this.at + n <= this.bytes.length) return;
    const larger = new Uint8Array(grow(this.at + n));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
  }

  /** A u32; the caller has made room for 5 bytes. */
  u32(value: number): void {
    const b = this.bytes;
    let at = this.at;
    while (value > 0x7f) {
      b[at++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    b[at++] = value;
    this.at = at;
  }

  /** A u64 as limbs; the caller has made room for 10 bytes. */
  u64(low: number, high: number): void {
    const b = this.bytes;
    let at = this.at;
    while (high !== 0) {
      b[at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.at = at;
    this.u32(low);
  }
}

const writer = new Writer();
const noStrings = new Map<string, number>();

/** Encodes a block. Definitions and ids must ascend; a violation is a bug of the caller and shows as malformed. */
export function encodeColumns(c: Columns): Uint8Array {
  const w = writer;
  w.at = 0;
  w.room(16);
  w.u32(blockVersion);
  w.u32(c.labelCount);
  w.u32(c.valueCount);
  const strings = c.definitions.length === 0 ? noStrings : new Map<string, number>();
  for (const d of c.definitions) for (const l of d.labels) if (!strings.has(l)) strings.set(l, strings.size);
  w.u32(strings.size);
  for (const s of strings.keys()) {
    w.room(s.length * 3 + 5);
    const length = utf8.encodeInto(s, w.bytes.subarray(w.at + 2)).written;
    // Two bytes of length hold any string within the limit: 7 + 7 bits.
    w.bytes[w.at] = (length & 0x7f) | 0x80;
    w.bytes[w.at + 1] = length >>> 7;
    w.at += 2 + length;
  }
  w.room(5 + c.definitions.length * (c.labelCount + 1) * 5);
  w.u32(c.definitions.length);
  let previous = 0;
  for (const d of c.definitions) {
    w.u32(d.id - previous);
    previous = d.id;
    for (let l = 0; l < c.labelCount; l++) w.u32(strings.get(d.labels[l]!)!);
  }
  w.room(5 + c.rowCount * (5 + 10 * c.valueCount));
  w.u32(c.rowCount);
  previous = 0;
  for (let r = 0; r < c.rowCount; r++) {
    w.u32(c.ids[r]! - previous);
    previous = c.ids[r]!;
  }
  const end = c.rowCount * c.valueCount * 2;
  for (let i = 0; i < end; i += 2) w.u64(c.values[i]!, c.values[i + 1]!);
  return w.bytes.slice(0, w.at);
}

/** Reads a block's head: small numbers and strings. */
class Reader {
  at = 0;

  constructor(readonly bytes: Uint8Array) {}

  fail(cause: string): never {
    throw new MusterError('wire/malformed', `decode column block: ${cause}`, {
      values: { offset: this.at, bytes: this.bytes.length },
    });
  }

  u32(): number {
    const { bytes } = this;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.at >= bytes.length) this.fail('truncated');
      const b = bytes[this.at++]!;
      value += (b & 0x7f) * 2 ** shift;
      if (b < 0x80) return value <= 0xffffffff ? value : this.fail('number above 2^32');
    }
    return this.fail('varint too long');
  }

  bounded(limit: number, what: string): number {
    const value = this.u32();
    return value <= limit ? value : this.fail(`${what} ${value} above ${limit}`);
  }

  string(): string {
    const length = this.bounded(blockLimits.stringBytes, 'string length');
    const end = this.at + length;
    if (end > this.bytes.length) this.fail('truncated string');
    const read = text.decode(this.bytes.subarray(this.at, end));
    this.at = end;
    return read;
  }

  /** Goes to where readIds or readValues came to, or complains of what they found. */
  settle(next: number, cause: string): void {
    this.at = next >= 0 ? next : ~next;
    if (next < 0) this.fail(this.at >= this.bytes.length ? 'truncated' : cause);
  }
}

/** Decodes `bytes` into `into`, reusing its arrays. Throws MusterError wire/malformed with the byte offset. */
export function decodeColumns(bytes: Uint8Array, into: Columns = emptyColumns()): Columns {
  const r = new Reader(bytes);
  const version = r.u32();
  if (version !== blockVersion) r.fail(`block version ${version}, expected ${blockVersion}`);
  into.labelCount = r.bounded(blockLimits.labels, 'label count');
  const valueCount = r.bounded(blockLimits.values, 'value count');
  const stringCount = r.bounded(Math.min(blockLimits.strings, bytes.length), 'string count');
  const strings: string[] = [];
  for (let i = 0; i < stringCount; i++) strings.push(r.string());
  const definitionCount = r.bounded(Math.min(blockLimits.rows, bytes.length), 'definition count');
  into.definitions = [];
  let id = 0;
  for (let i = 0; i < definitionCount; i++) {
    const delta = r.u32();
    if (i > 0 && delta === 0) r.fail('definitions do not ascend');
    id += delta;
    if (id > 0xffffffff) r.fail('id above 2^32');
    const labels: string[] = [];
    for (let l = 0; l < into.labelCount; l++) {
      const index = r.u32();
      if (index >= strings.length) r.fail(`string ${index} of ${strings.length}`);
      labels.push(strings[index]!);
    }
    into.definitions.push({ id, labels });
  }
  const rowCount = r.bounded(blockLimits.rows, 'row count');
  // A byte at least for each id and value, so that a few bytes cannot claim a large block.
  if (rowCount * (1 + valueCount) > bytes.length - r.at) r.fail('truncated');
  reserveRows(into, rowCount, valueCount);
  into.rowCount = rowCount;
  r.settle(readIds(bytes, r.at, into.ids, rowCount), 'rows do not ascend, or end above 2^32');
  r.settle(readValues(bytes, r.at, into.values, rowCount * valueCount * 2), 'value above 2^64');
  if (r.at !== bytes.length) r.fail('bytes after the block');
  return into;
}

// The two loops over rows stand alone: a local that a closure shares would live in memory, not in a register.

/** Reads ids as differences; returns the offset behind them, or the complement of the offset of what is wrong. */
function readIds(bytes: Uint8Array, at: number, ids: Uint32Array, count: number): number {
  const length = bytes.length;
  let id = 0;
  for (let r = 0; r < count; r++) {
    const start = at;
    let b = 0;
    let delta = 0;
    let scale = 1;
    do {
      if (at >= length) return ~at;
      if (at - start === 5) return ~start;
      b = bytes[at++]!;
      delta += (b & 0x7f) * scale;
      scale *= 128;
    } while (b > 0x7f);
    id += delta;
    if ((r > 0 && delta === 0) || id > 0xffffffff) return ~start;
    ids[r] = id;
  }
  return at;
}

/** Reads u64 values as limbs up to index `end`; returns as readIds does. */
function readValues(bytes: Uint8Array, at: number, values: Uint32Array, end: number): number {
  const length = bytes.length;
  for (let i = 0; i < end; i += 2) {
    const start = at;
    if (at >= length) return ~at;
    let b = bytes[at++]!;
    let low = b & 0x7f;
    let high = 0;
    let shift = 7;
    while (b > 0x7f && shift < 28) {
      if (at >= length) return ~at;
      b = bytes[at++]!;
      low |= (b & 0x7f) << shift;
      shift += 7;
    }
    if (b > 0x7f) {
      // The fifth byte is split between the limbs: four bits and three.
      if (at >= length) return ~at;
      b = bytes[at++]!;
      low = (low | ((b & 0x7f) << 28)) >>> 0;
      high = (b & 0x7f) >>> 4;
      shift = 3;
      while (b > 0x7f) {
        if (at >= length) return ~at;
        b = bytes[at++]!;
        // Nine bytes hold 63 bits; the tenth may bring one more.
        if (shift === 31 && b > 1) return ~start;
        high |= (b & 0x7f) << shift;
        shift += 7;
      }
    }
    values[i] = low;
    values[i + 1] = high;
  }
  return at;
}
