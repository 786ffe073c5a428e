/** What the store says, read with the codecs alone: totals by host, table and series, the ledger, the windows' sums. */
import { toBigInt } from '../../services/shared/algebra/limbs.ts';
import { parseBlobName, type HostRecord } from '../../services/shared/contract/checkpoint.ts';
import { decodeBase, decodeHost, decodeLast, decodeSeriesPage, decodeWindow, type SeriesValues } from '../../services/shared/contract/checkpoint-codec.ts';
import { seriesOf } from './catalogue.ts';
import type { SimStore } from './store.ts';

/** One table of one host. Series are named as the catalogue names them; '' is the overflow row. */
export interface TableReading {
  readonly names: string[];
  readonly totals: Map<string, bigint>;
  readonly windows: Map<string, bigint>;
  lost: bigint;
  quarantined: bigint;
}

export interface HostReading {
  readonly record: HostRecord;
  readonly tables: Map<string, TableReading>;
}

function add(into: Map<string, bigint>, name: string, value: bigint): void {
  if (value !== 0n) into.set(name, BigInt.asUintN(64, (into.get(name) ?? 0n) + value));
}

/** All hosts of a partition; values are the first of each row (counts, not a histogram's sum). */
export function readPartition(store: SimStore, partition: number): Map<string, HostReading> {
  const hosts = new Map<string, HostReading>();
  const view = store.view(partition);
  if (!view) return hosts;
  const blobs = [...view.names.keys()].map((text) => ({ name: parseBlobName(text), bytes: store.blob(partition, text) }));
  for (const { name, bytes } of blobs) if (name.kind === 'host' && bytes) hosts.set(name.host, { record: decodeHost(bytes), tables: new Map() });
  const tableOf = (host: string, table: string): TableReading | undefined => {
    const tables = hosts.get(host)?.tables;
    if (!tables) return undefined;
    const known = tables.get(table);
    if (known) return known;
    const made: TableReading = { names: [''], totals: new Map(), windows: new Map(), lost: 0n, quarantined: 0n };
    tables.set(table, made);
    return made;
  };
  for (const { name, bytes } of blobs) {
    if (name.kind !== 'series' || !bytes) continue;
    const page = decodeSeriesPage(bytes);
    const names = tableOf(name.host, name.table)?.names;
    for (let i = 0; names && i < page.count; i++) {
      if (page.first + i > 0) names[page.first + i] = seriesOf(page.values.slice(i * page.labelCount, (i + 1) * page.labelCount));
    }
  }
  const addSeries = (table: TableReading, into: Map<string, bigint>, s: SeriesValues): void => {
    for (let i = 0; i < s.count; i++) add(into, table.names[s.series[i]!] ?? `series ${s.series[i]}`, toBigInt(s.values, i * 2));
  };
  for (const { name, bytes } of blobs) {
    if (!bytes) continue;
    if (name.kind === 'base') {
      const table = tableOf(name.host, name.table);
      if (table) addSeries(table, table.totals, decodeBase(bytes));
    } else if (name.kind === 'last') {
      const table = tableOf(name.host, name.table);
      const last = decodeLast(bytes);
      if (table) addSeries(table, table.totals, last);
    } else if (name.kind === 'window') {
      for (const h of decodeWindow(bytes).hosts) {
        const table = tableOf(h.host, name.table);
        if (table) addSeries(table, table.windows, h.increments);
      }
    }
  }
  for (const [host, { record }] of hosts) {
    for (const l of [...record.folded, ...record.lineages.flatMap((x) => x.ledgers)]) {
      const table = tableOf(host, l.table);
      if (!table) continue;
      table.lost += l.lost;
      table.quarantined += l.quarantined;
    }
  }
  return hosts;
}
