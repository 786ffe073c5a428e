/**
 * What the store says, read with the codecs alone: totals by host, table and series, the ledger, the windows' sums.
 * Totals are arrays by series number (catalogue.ts), two limbs each, so that the oracle compares numbers and no text.
 * A blob is decoded once: the store keeps its bytes as they are until they are written again.
 */
import { addInto } from '../../services/shared/algebra/limbs.ts';
import { parseBlobName, type BlobName, type HostRecord } from '../../services/shared/contract/checkpoint.ts';
import {
  decodeBase,
  decodeHost,
  decodeLast,
  decodeSeriesPage,
  decodeWindow,
  type SeriesValues,
} from '../../services/shared/contract/checkpoint-codec.ts';
import { allSeries, lostSeries, seriesNumber, seriesOf } from './catalogue.ts';
import { addSeconds, noSeconds, type SecondsReading } from './seconds.ts';
import type { SimStore } from './store.ts';

/** One table of one host, all its keys summed: values are the first of each row (counts, not a histogram's sum). */
export interface TableReading {
  readonly totals: Uint32Array;
  readonly windows: Uint32Array;
  readonly seconds: SecondsReading;
  lost: bigint;
  quarantined: bigint;
}

export interface HostReading {
  readonly record: HostRecord;
  readonly tables: Map<string, TableReading>;
}

interface Page {
  readonly first: number;
  readonly numbers: readonly number[];
}

interface Named {
  readonly name: BlobName;
  readonly bytes: Uint8Array;
}

const tableOf = (key: string): string => key.split('~')[0]!;

export class Reader {
  private readonly decoded = new WeakMap<Uint8Array, unknown>();
  private readonly names = new Map<string, BlobName>();

  constructor(private readonly store: SimStore) {}

  /** Lifetime totals of a partition's hosts by table: what a watch needs at each look. */
  totals(partition: number): Map<string, Map<string, Uint32Array>> {
    const blobs = this.blobs(partition, false);
    const hosts = new Map<string, Map<string, Uint32Array>>();
    for (const { name } of blobs) if (name.kind === 'host') hosts.set(name.host, new Map());
    const pages = this.pages(blobs);
    for (const { name, bytes } of blobs) {
      if (name.kind !== 'base' && name.kind !== 'last') continue;
      const tables = hosts.get(name.host);
      if (!tables) continue;
      const table = tableOf(name.table);
      let into = tables.get(table);
      if (!into) tables.set(table, (into = new Uint32Array(allSeries(table).length * 2)));
      const values =
        name.kind === 'base' ? this.once(bytes, () => decodeBase(bytes)) : this.once(bytes, () => decodeLast(bytes));
      addSeries(into, values, pages.get(`${name.host}/${name.table}`));
    }
    return hosts;
  }

  /** All hosts of a partition, with windows and ledger. */
  hosts(partition: number): Map<string, HostReading> {
    const blobs = this.blobs(partition, true);
    const totals = this.totals(partition);
    const hosts = new Map<string, HostReading>();
    for (const { name, bytes } of blobs) {
      if (name.kind !== 'host') continue;
      const tables = new Map<string, TableReading>();
      for (const [table, values] of totals.get(name.host)!) tables.set(table, emptyReading(table, values));
      hosts.set(name.host, { record: decodeHost(bytes), tables });
    }
    const readingOf = (host: string, table: string): TableReading | undefined => {
      const tables = hosts.get(host)?.tables;
      const known = tables?.get(table);
      if (known || !tables) return known;
      const made = emptyReading(table, new Uint32Array(allSeries(table).length * 2));
      tables.set(table, made);
      return made;
    };
    const pages = this.pages(blobs);
    for (const { name, bytes } of blobs) {
      if (name.kind !== 'window') continue;
      const window = decodeWindow(bytes);
      for (const h of window.hosts) {
        const into = readingOf(h.host, tableOf(name.table));
        if (!into) continue;
        addSeries(into.windows, h.increments, pages.get(`${h.host}/${name.table}`));
        addSeconds(into.seconds, window, h.increments, h.undivided);
      }
    }
    for (const [host, { record }] of hosts) {
      for (const ledgers of [record.folded, ...record.lineages.map((l) => l.ledgers)]) {
        for (const l of ledgers) {
          const reading = readingOf(host, tableOf(l.table))!;
          reading.lost += l.lost;
          reading.quarantined += l.quarantined;
        }
      }
    }
    return hosts;
  }

  private blobs(partition: number, windows: boolean): Named[] {
    const found: Named[] = [];
    for (const [text, bytes] of this.store.sound(partition)) {
      if (!windows && text.startsWith('window/')) continue;
      let name = this.names.get(text);
      if (!name) this.names.set(text, (name = parseBlobName(text)));
      found.push({ name, bytes });
    }
    return found;
  }

  /** Numbers of each table's series as the oracle counts them, by host/key. */
  private pages(blobs: readonly Named[]): Map<string, readonly number[]> {
    const tables = new Map<string, readonly number[]>();
    for (const { name, bytes } of blobs) {
      if (name.kind !== 'series') continue;
      const id = `${name.host}/${name.table}`;
      const { first, numbers } = this.once(bytes, () => pageOf(tableOf(name.table), bytes));
      const before = tables.get(id);
      if (first === 0 && !before) tables.set(id, numbers);
      else {
        const all = [...(before ?? [])];
        numbers.forEach((number, i) => (all[first + i] = number));
        tables.set(id, all);
      }
    }
    return tables;
  }

  private once<T>(bytes: Uint8Array, decode: () => T): T {
    const known = this.decoded.get(bytes);
    if (known !== undefined) return known as T;
    const made = decode();
    this.decoded.set(bytes, made);
    return made;
  }
}

const emptyReading = (table: string, totals: Uint32Array): TableReading => ({
  totals,
  windows: new Uint32Array(allSeries(table).length * 2),
  seconds: noSeconds(),
  lost: 0n,
  quarantined: 0n,
});

function pageOf(table: string, bytes: Uint8Array): Page {
  const page = decodeSeriesPage(bytes);
  const numbers: number[] = [];
  for (let i = 0; i < page.count; i++) {
    const labels = page.values.slice(i * page.labelCount, (i + 1) * page.labelCount);
    numbers.push(page.first + i === 0 ? 0 : (seriesNumber(table, seriesOf(labels)) ?? lostSeries));
  }
  return { first: page.first, numbers };
}

function addSeries(into: Uint32Array, from: SeriesValues, numbers: readonly number[] | undefined): void {
  for (let i = 0; i < from.count; i++) {
    const series = from.series[i]!;
    const number = series === 0 ? 0 : (numbers?.[series] ?? lostSeries);
    addInto(into, number * 2, from.values, i * 2);
  }
}
