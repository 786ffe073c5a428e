/** One blob of a checkpoint, decoded for reading: labels as dictionary numbers, counters as typed arrays. */
import { toBigInt } from '../../shared/algebra/limbs.ts';
import type { BlobName, HostRecord, LineageRecord } from '../../shared/contract/checkpoint.ts';
import {
  decodeBase,
  decodeHost,
  decodeLast,
  decodeSeriesPage,
  decodeWindow,
  type RowValues,
  type SeriesValues,
  type WindowValues,
} from '../../shared/contract/checkpoint-codec.ts';
import type { TableSchema } from '../../shared/contract/lineage.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { Dictionary, SeriesPageIds } from './dictionary.ts';

export interface Lineage {
  readonly record: LineageRecord;
  /** Tables by the key that blob names use. */
  readonly tables: ReadonlyMap<string, TableSchema>;
}

/** Sum of the first value of a block's rows, added up once: what a ledger must equal. */
export interface Held {
  readonly labelled: bigint;
  /** The overflow row. */
  readonly unlabelled: bigint;
}

export type DecodedBlob =
  | {
      readonly kind: 'host';
      readonly record: HostRecord;
      readonly lineages: readonly Lineage[];
      readonly weight: number;
    }
  | { readonly kind: 'series'; readonly page: SeriesPageIds; readonly weight: number }
  | { readonly kind: 'base'; readonly values: SeriesValues; readonly held: Held; readonly weight: number }
  | { readonly kind: 'last'; readonly values: RowValues; readonly held: Held; readonly weight: number }
  | { readonly kind: 'window'; readonly window: WindowValues; readonly weight: number }
  | { readonly kind: 'quarantine'; readonly weight: number };

/** `weight` is about the memory it holds, in bytes. Throws MusterError store/corrupt. */
export function decodeBlob(name: BlobName, bytes: Uint8Array, dictionary: Dictionary): DecodedBlob {
  switch (name.kind) {
    case 'host': {
      const record = decodeHost(bytes);
      return {
        kind: 'host',
        record,
        lineages: record.lineages.map((l) => lineageOf(l, dictionary)),
        weight: 1000 + bytes.length * 4,
      };
    }
    case 'series': {
      const page = dictionary.page(bytes, () => pageOf(bytes, dictionary));
      return { kind: 'series', page, weight: 200 + page.count * page.labels.length * 4 };
    }
    case 'base': {
      const values = decodeBase(bytes);
      return { kind: 'base', values, held: heldBy(values), weight: weightOf(values.series, values.values) };
    }
    case 'last': {
      const values = decodeLast(bytes);
      return {
        kind: 'last',
        values,
        held: heldBy(values),
        weight: weightOf(values.series, values.values, values.rows),
      };
    }
    case 'window': {
      const window = decodeWindow(bytes);
      return {
        kind: 'window',
        window,
        weight: window.hosts.reduce((n, h) => n + weightOf(h.increments.series, h.increments.values), 200),
      };
    }
    case 'quarantine':
      return { kind: 'quarantine', weight: 100 };
  }
}

function pageOf(bytes: Uint8Array, dictionary: Dictionary): SeriesPageIds {
  const { first, count, labelCount, values } = decodeSeriesPage(bytes);
  const labels = Array.from({ length: labelCount }, () => new Uint32Array(count));
  for (let i = 0, v = 0; i < count; i++)
    for (let l = 0; l < labelCount; l++) labels[l]![i] = dictionary.intern(values[v++]!);
  return { first, count, labels };
}

function lineageOf(record: LineageRecord, dictionary: Dictionary): Lineage {
  const tables = new Map<string, TableSchema>();
  try {
    dictionary.tables(record.schemaJson).forEach((schema, i) => tables.set(record.tableKeys[i] ?? schema.name, schema));
  } catch (cause) {
    throw new MusterError('store/corrupt', 'read checkpoint: a schema that cannot be read', { cause });
  }
  return { record, tables };
}

function heldBy({ count, series, values }: Pick<SeriesValues, 'count' | 'series' | 'values'>): Held {
  // Low and high limbs apart: exact in doubles for any block within its limits.
  let [low, high, unlabelled] = [0, 0, 0n];
  for (let r = 0; r < count; r++) {
    if (series[r] === 0) unlabelled += toBigInt(values, r * 2);
    else {
      low += values[r * 2]!;
      high += values[r * 2 + 1]!;
    }
  }
  return { labelled: (BigInt(high) << 32n) + BigInt(low), unlabelled };
}

const weightOf = (...arrays: readonly Uint32Array[]): number => arrays.reduce((n, a) => n + a.byteLength, 200);
