/** What the store says, read with the codecs alone: totals by host, table and series, the ledger, the windows' sums. */
import { toBigInt } from '../../services/shared/algebra/limbs.ts';
import { parseBlobName, type HostRecord } from '../../services/shared/contract/checkpoint.ts';
import {
  decodeBase,
  decodeHost,
  decodeLast,
  decodeSeriesPage,
  decodeWindow,
  type SeriesValues,
} from '../../services/shared/contract/checkpoint-codec.ts';
import { seriesOf } from './catalogue.ts';
import type { SimStore } from './store.ts';

/** One table of one host, all its keys summed. Series are named as the catalogue names them; '' is the overflow row. */
export interface TableReading {
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
  const blobs = [...view.names.keys()].map((text) => ({
    name: parseBlobName(text),
    bytes: store.blob(partition, text),
  }));
  for (const { name, bytes } of blobs)
    if (name.kind === 'host' && bytes) hosts.set(name.host, { record: decodeHost(bytes), tables: new Map() });
  const tableOf = (host: string, key: string): TableReading | undefined => {
    const tables = hosts.get(host)?.tables;
    if (!tables) return undefined;
    const table = key.split('~')[0]!;
    const known = tables.get(table);
    if (known) return known;
    const made: TableReading = { totals: new Map(), windows: new Map(), lost: 0n, quarantined: 0n };
    tables.set(table, made);
    return made;
  };
  const labels = new Map<string, string[]>();
  const namesOf = (host: string, key: string): string[] => {
    const id = `${host}/${key}`;
    const known = labels.get(id);
    if (known) return known;
    const made = [''];
    labels.set(id, made);
    return made;
  };
  for (const { name, bytes } of blobs) {
    if (name.kind !== 'series' || !bytes) continue;
    const page = decodeSeriesPage(bytes);
    const names = namesOf(name.host, name.table);
    for (let i = 0; i < page.count; i++) {
      if (page.first + i > 0)
        names[page.first + i] = seriesOf(page.values.slice(i * page.labelCount, (i + 1) * page.labelCount));
    }
  }
  const addSeries = (host: string, key: string, of: 'totals' | 'windows', s: SeriesValues): void => {
    const into = tableOf(host, key)?.[of];
    const names = namesOf(host, key);
    for (let i = 0; into && i < s.count; i++)
      add(into, names[s.series[i]!] ?? 'of lost labels', toBigInt(s.values, i * 2));
  };
  for (const { name, bytes } of blobs) {
    if (!bytes) continue;
    if (name.kind === 'base') addSeries(name.host, name.table, 'totals', decodeBase(bytes));
    else if (name.kind === 'last') addSeries(name.host, name.table, 'totals', decodeLast(bytes));
    else if (name.kind === 'window')
      for (const h of decodeWindow(bytes).hosts) addSeries(h.host, name.table, 'windows', h.increments);
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
