/** One blob of a checkpoint, decoded for reading: labels as dictionary numbers, counters as typed arrays. */
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
import { parseTables, type TableSchema } from '../../shared/contract/lineage.ts';
import type { Dictionary } from './dictionary.ts';

export interface Lineage {
  readonly record: LineageRecord;
  /** Tables by the key that blob names use. */
  readonly tables: ReadonlyMap<string, TableSchema>;
}

/** Labels of consecutive series: label l of series first + i is labels[l][i]. */
export interface SeriesPageIds {
  readonly first: number;
  readonly count: number;
  readonly labels: readonly Uint32Array[];
}

export type DecodedBlob =
  | {
      readonly kind: 'host';
      readonly record: HostRecord;
      readonly lineages: readonly Lineage[];
      readonly weight: number;
    }
  | { readonly kind: 'series'; readonly page: SeriesPageIds; readonly weight: number }
  | { readonly kind: 'base'; readonly values: SeriesValues; readonly weight: number }
  | { readonly kind: 'last'; readonly values: RowValues; readonly weight: number }
  | { readonly kind: 'window'; readonly window: WindowValues; readonly weight: number }
  | { readonly kind: 'quarantine'; readonly weight: number };

/** `weight` is about the memory it holds, in bytes. Throws MusterError store/corrupt. */
export function decodeBlob(name: BlobName, bytes: Uint8Array, dictionary: Dictionary): DecodedBlob {
  switch (name.kind) {
    case 'host': {
      const record = decodeHost(bytes);
      return { kind: 'host', record, lineages: record.lineages.map(lineageOf), weight: 1000 + bytes.length * 4 };
    }
    case 'series': {
      const { first, count, labelCount, values } = decodeSeriesPage(bytes);
      const labels = Array.from({ length: labelCount }, () => new Uint32Array(count));
      for (let i = 0, v = 0; i < count; i++)
        for (let l = 0; l < labelCount; l++) labels[l]![i] = dictionary.intern(values[v++]!);
      return { kind: 'series', page: { first, count, labels }, weight: 200 + count * labelCount * 4 };
    }
    case 'base': {
      const values = decodeBase(bytes);
      return { kind: 'base', values, weight: weightOf(values.series, values.values) };
    }
    case 'last': {
      const values = decodeLast(bytes);
      return { kind: 'last', values, weight: weightOf(values.series, values.values, values.rows) };
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

function lineageOf(record: LineageRecord): Lineage {
  const schemas = record.schemaJson ? parseTables(record.schemaJson) : [];
  return { record, tables: new Map(schemas.map((s, i) => [record.tableKeys[i] ?? s.name, s])) };
}

const weightOf = (...arrays: readonly Uint32Array[]): number => arrays.reduce((n, a) => n + a.byteLength, 200);
