/**
 * The blobs of a checkpoint as typed arrays: written by the aggregator, read by the query service, laid out here once.
 * Counters are two u32 limbs (algebra/limbs.ts) in columns: value v of row r at (v · count + r) · 2.
 * Lifetime total of a series = base + Σ last over the rows that point at it, modulo 2^64 (algebra addInto).
 */
import type { Sampled } from '../algebra/sampling.ts';
import { MusterError } from '../runtime/errors.ts';
import { checkpointFormat, CheckpointHead, HostRecord, Quarantine, SeriesPage, WindowBlob } from './checkpoint.ts';
import { xxh32 } from './checksum.ts';
import { encodeMessage, u64 } from './encode.ts';
import { type Columns, decodeColumns, emptyColumns, encodeColumns } from './columns.ts';

/** Totals by series: base blobs, and a window's increments. Series ascend. */
export interface SeriesValues {
  readonly count: number;
  readonly valueCount: number;
  readonly series: Uint32Array;
  readonly values: Uint32Array;
}

/** Cumulative values of kernel rows, with the series each row counts for. Rows ascend. */
export interface RowValues {
  readonly count: number;
  readonly valueCount: number;
  readonly rows: Uint32Array;
  readonly series: Uint32Array;
  readonly values: Uint32Array;
}

/** Labels of `count` consecutive series from `first`; label l of series first + i is values[i · labelCount + l]. */
export interface SeriesLabels {
  readonly first: number;
  readonly count: number;
  readonly labelCount: number;
  readonly values: readonly string[];
}

export interface WindowHostValues {
  readonly host: string;
  readonly increments: SeriesValues;
  readonly seen: bigint;
  readonly failed: bigint;
  readonly skipped: bigint;
  /** Absent where nothing was. */
  readonly sampled?: Sampled | undefined;
  /** Kept by second: what could not be told by second. */
  readonly undivided?: bigint;
  /** Earliest start and latest end of the intervals counted here, Unix ms. */
  readonly fromMs: number;
  readonly toMs: number;
}

export interface WindowValues {
  readonly startMs: number;
  readonly lengthMs: number;
  readonly hosts: readonly WindowHostValues[];
}

/** Throws MusterError store/newer-format for a head that a newer Muster wrote. */
export function decodeHead(bytes: Uint8Array): CheckpointHead {
  const head = CheckpointHead.decode(bytes);
  if (head.formatVersion > checkpointFormat) {
    throw new MusterError('store/newer-format', 'read checkpoint: newer format', {
      values: { found: head.formatVersion, known: checkpointFormat },
    });
  }
  return head;
}

/** Digest kept beside each blob: 8 hex digits. */
export const blobDigest = (blob: Uint8Array): string => xxh32(blob).toString(16).padStart(8, '0');

export const decodeHost = (blob: Uint8Array): HostRecord => guarded('host', () => HostRecord.decode(blob));
export const decodeQuarantine = (blob: Uint8Array): Quarantine => guarded('quarantine', () => Quarantine.decode(blob));

export const encodeSeriesPage = (page: SeriesLabels): Uint8Array =>
  encodeMessage(SeriesPage, {
    first: page.first,
    labels: page.labelCount,
    values: [...page.values],
    count: page.count,
  });

export function decodeSeriesPage(blob: Uint8Array): SeriesLabels {
  const page = guarded('series', () => SeriesPage.decode(blob));
  if (page.values.length !== page.count * page.labels) throw corrupt('series: labels do not fit their count');
  return { first: page.first, count: page.count, labelCount: page.labels, values: page.values };
}

/** `values` holds `valueCount` columns of `count` values. */
export const encodeSeriesValues = (s: SeriesValues): Uint8Array =>
  encodeColumns({ ...blank, valueCount: s.valueCount, rowCount: s.count, ids: s.series, values: s.values });

export function decodeBase(blob: Uint8Array): SeriesValues {
  const c = guarded('base', () => decodeColumns(blob, emptyColumns()));
  return { count: c.rowCount, valueCount: c.valueCount, series: c.ids, values: c.values };
}

/** Kept between calls: the series in front of the values. */
let joined = new Uint32Array(0);

export function encodeLast(r: RowValues): Uint8Array {
  const length = r.count * 2 * (1 + r.valueCount);
  if (joined.length < length) joined = new Uint32Array(length);
  const values = joined;
  for (let i = 0; i < r.count; i++) {
    values[i * 2] = r.series[i]!;
    values[i * 2 + 1] = 0;
  }
  values.set(r.values.subarray(0, r.count * r.valueCount * 2), r.count * 2);
  return encodeColumns({ ...blank, valueCount: 1 + r.valueCount, rowCount: r.count, ids: r.rows, values });
}

export function decodeLast(blob: Uint8Array): RowValues {
  const c = guarded('last', () => decodeColumns(blob, emptyColumns()));
  if (c.valueCount < 2) throw corrupt('last: no values');
  const series = new Uint32Array(c.rowCount);
  for (let i = 0; i < c.rowCount; i++) series[i] = c.values[i * 2]!;
  const values = c.values.subarray(c.rowCount * 2);
  return { count: c.rowCount, valueCount: c.valueCount - 1, rows: c.ids, series, values };
}

export function encodeWindow(w: WindowValues): Uint8Array {
  return encodeMessage(WindowBlob, {
    startWallMs: BigInt(w.startMs),
    lengthMs: BigInt(w.lengthMs),
    hosts: w.hosts.map((h) => ({
      host: h.host,
      columns: encodeSeriesValues(h.increments) as Buffer,
      seen: u64(h.seen),
      failed: u64(h.failed),
      skipped: u64(h.skipped),
      sampled: h.sampled,
      undivided: u64(h.undivided ?? 0n),
      fromWallMs: BigInt(h.fromMs),
      toWallMs: BigInt(h.toMs),
    })),
  });
}

export function decodeWindow(blob: Uint8Array): WindowValues {
  const w = guarded('window', () => WindowBlob.decode(blob));
  return {
    startMs: Number(w.startWallMs),
    lengthMs: Number(w.lengthMs),
    hosts: w.hosts.map((h) => ({
      host: h.host,
      increments: decodeBase(h.columns),
      seen: h.seen,
      failed: h.failed,
      skipped: h.skipped,
      sampled: h.sampled,
      undivided: h.undivided,
      fromMs: Number(h.fromWallMs),
      toMs: Number(h.toWallMs),
    })),
  };
}

const blank: Columns = emptyColumns();
const corrupt = (what: string, cause?: unknown): MusterError =>
  new MusterError('store/corrupt', `read checkpoint: ${what}`, { cause });

function guarded<T>(kind: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    if (cause instanceof MusterError && cause.code === 'store/corrupt') throw cause;
    throw corrupt(`${kind} blob cannot be read`, cause);
  }
}
