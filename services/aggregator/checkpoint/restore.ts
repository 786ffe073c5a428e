/**
 * A checkpoint becomes the state it was taken from: for all further batches the two behave alike (a property test says
 * so). Windows are not read back: what still comes for one goes into a part beside it.
 *
 * Damage costs what it must and no more: rows come back with the next keyframe, labels and folded totals of a table
 * do not, and the host's ledger then says how much is lost.
 */
import { RowTable } from '../../shared/algebra/row-table.ts';
import { nothingSampled } from '../../shared/algebra/sampling.ts';
import { SeriesIndex } from '../../shared/algebra/series-index.ts';
import { SumTable } from '../../shared/algebra/sum-table.ts';
import {
  type BlobName,
  type HostRecord,
  type LedgerRecord,
  type LineageRecord,
  newTableKey,
  parseBlobName,
} from '../../shared/contract/checkpoint.ts';
import {
  decodeBase,
  decodeHost,
  decodeLast,
  decodeQuarantine,
  decodeSeriesPage,
} from '../../shared/contract/checkpoint-codec.ts';
import { bitsAt, parseTables, schemaHash } from '../../shared/contract/lineage.ts';
import type { LoadedCheckpoint } from '../../shared/runtime/ports/checkpoint-store.ts';
import type {
  FoldedLedger,
  GenerationState,
  HostState,
  LineageState,
  LineageStatus,
  MergeEffect,
  MergeState,
  TableState,
} from '../merge/state.ts';

/** The aggregator needs no window's bytes. */
export const isWanted = (name: string): boolean => !name.startsWith('window/');

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Fills an empty state. */
export function restore(state: MergeState, loaded: LoadedCheckpoint, effects: MergeEffect[]): void {
  const parsed = [...loaded.blobs].flatMap(([text, blob]) => readable(text).map((name) => ({ name, blob })));
  const damaged = loaded.damaged.flatMap(readable);
  const pages: { series: { name: Extract<BlobName, { kind: 'series' }>; blob: Uint8Array }[] } = { series: [] };
  for (const { name, blob } of parsed) {
    if (name.kind === 'host') state.hosts.set(name.host, restoreHost(decodeHost(blob)));
    else if (name.kind === 'quarantine') restorePoison(state, blob);
    else if (name.kind === 'series') pages.series.push({ name, blob });
  }
  pages.series.sort((a, b) => a.name.page - b.name.page);
  for (const { name, blob } of pages.series) {
    const table = state.hosts.get(name.host)?.tables.get(name.table);
    // A page after a damaged one cannot be numbered; the table is forgotten below.
    if (!table || name.page * 4096 !== table.seriesWritten) continue;
    const page = decodeSeriesPage(blob);
    for (let i = 0; i < page.count; i++)
      table.index.restore(page.first + i, page.values.slice(i * page.labelCount, (i + 1) * page.labelCount));
    table.seriesWritten = table.index.size;
  }
  for (const { name, blob } of parsed) {
    if (name.kind === 'base') state.hosts.get(name.host)?.tables.get(name.table)?.base.restore(decodeBase(blob));
    else if (name.kind === 'last') rowsOf(state, name)?.restore(decodeLast(blob));
  }
  for (const name of [...loaded.names, ...loaded.damaged].flatMap(readable)) {
    if (name.kind !== 'window') continue;
    let byTable = state.windows.parts.get(name.startMs);
    if (!byTable) state.windows.parts.set(name.startMs, (byTable = new Map()));
    byTable.set(name.table, Math.max(byTable.get(name.table) ?? 0, name.part + 1));
  }
  for (const name of damaged) repair(state, name, loaded, effects);
  for (const name of loaded.damaged) state.drops.add(name);
}

/** A damaged name says nothing; it is dropped with the rest. */
function readable(name: string): BlobName[] {
  try {
    return [parseBlobName(name)];
  } catch {
    return [];
  }
}

function rowsOf(state: MergeState, name: Extract<BlobName, { kind: 'last' }>): RowTable | undefined {
  const lineage = state.hosts.get(name.host)?.lineages.find((l) => l.key === name.lineage);
  const position = lineage?.tables.findIndex((t) => t.key === name.table) ?? -1;
  return lineage?.open.find((g) => g.generation === name.generation)?.tables[position]?.rows;
}

function restoreHost(record: HostRecord): HostState {
  const host: HostState = {
    host: record.host,
    labels: record.labels,
    kernelRelease: record.kernelRelease,
    bootId: hex(record.bootId),
    readWallNs: record.readWallNs,
    mergedWallMs: Number(record.mergedWallMs),
    intervalNs: record.intervalNs,
    clockSkewMs: Number(record.clockSkewMs),
    synthetic: record.synthetic,
    quarantinedBatches: record.quarantinedBatches,
    tables: new Map(),
    lineages: [],
    folded: new Map(
      record.folded.map((f) => [`${f.probe}/${f.table}`, { ...foldedLedger(f), probe: f.probe, table: f.table }]),
    ),
    unknown: record.unknown,
    missing: record.missing,
    changed: false,
    resyncMs: -1e15,
    wanted: new Map(),
    sequence: 0n,
  };
  for (const l of record.lineages) host.lineages.push(restoreLineage(host, l));
  for (const table of host.tables.values()) table.limitedRows = record.limitedRows[table.key] ?? 0n;
  return host;
}

const unchanged = { baseChanged: false, seriesWritten: 0, limitedRows: 0n };

function restoreLineage(host: HostState, r: LineageRecord): LineageState {
  const schemas = r.schemaJson === '' ? [] : parseTables(r.schemaJson);
  for (const [i, schema] of schemas.entries()) {
    const key = r.tableKeys[i]!;
    if (host.tables.has(key)) continue;
    const index = new SeriesIndex(schema.labels.length);
    const base = new SumTable(schema.valueCount, 0, bitsAt(schema));
    const shape = schemaHash([schema]);
    host.tables.set(key, { key, name: schema.name, probe: r.probe, shape, index, base, ...unchanged });
  }
  const tables = schemas.map((schema, i) => ({ schema, key: r.tableKeys[i]! }));
  const open: GenerationState[] = [];
  for (const ledger of r.ledgers.filter((l) => l.current)) {
    let g = open.find((o) => o.generation === ledger.generation);
    if (!g) open.push((g = { generation: ledger.generation, tables: [] }));
  }
  open.sort((a, b) => (a.generation < b.generation ? -1 : 1));
  for (const g of open) {
    for (const { key, schema } of tables) {
      const l = r.ledgers.find((o) => o.current && o.generation === g.generation && o.table === key);
      const rows = new RowTable(schema.valueCount);
      rows.define(0, 0);
      rows.changed.clear();
      g.tables.push({
        rows,
        seen: l?.seen ?? 0n,
        failed: four(l?.failed),
        sampled: l?.sampled ?? nothingSampled,
        retiredSeen: l?.retiredSeen ?? 0n,
        sealed: l?.sealed ?? false,
        readBoottimeNs: l?.readBoottimeNs ?? 0n,
      });
    }
  }
  return {
    key: `${hex(r.bootId)}${hex(r.uuid)}`,
    uuid: hex(r.uuid),
    bootId: hex(r.bootId),
    probe: r.probe,
    createdBoottimeNs: r.createdBoottimeNs,
    createdWallNs: r.createdWallNs,
    schemaHash: r.schemaHash,
    schemaJson: r.schemaJson,
    tables,
    status: r.state as LineageStatus,
    generation: r.generation,
    foldedThrough: r.foldedThrough,
    readBoottimeNs: r.readBoottimeNs,
    readWallNs: r.readWallNs,
    mergedWallMs: Number(r.mergedWallMs),
    historyBoottimeNs: r.historyBoottimeNs,
    detachedWallNs: r.detachedWallNs,
    open,
    folded: tables.map(({ key }) => {
      return foldedLedger(r.ledgers.find((o) => !o.current && o.table === key));
    }),
    programs: r.programs,
    kernelBytes: r.kernelBytes,
    governed: r.governed,
    // One checkpoint late: what this one holds is announced after the next.
    committing: r.foldedThrough,
    committed: r.foldedThrough,
    announced: 0n,
    toldMs: -1e15,
    // This process has not heard of it.
    heardMs: Number(r.heardWallMs),
    readsSinceHeir: 0,
    readsInARow: 0,
    whole: { known: undefined, reading: undefined },
    reads: 0,
    aloneSinceMs: 0,
  };
}

const four = (failed: readonly bigint[] = []): bigint[] => [0, 1, 2, 3].map((c) => failed[c] ?? 0n);

/** Of no record: nothing. */
const foldedLedger = (r: LedgerRecord | undefined): FoldedLedger => ({
  held: r ? r.seen - r.lost + r.excess : 0n,
  excess: r?.excess ?? 0n,
  overflow: r?.overflow ?? 0n,
  failed: four(r?.failed),
  sampled: r?.sampled ?? nothingSampled,
  lost: r?.lost ?? 0n,
  quarantined: r?.quarantined ?? 0n,
});

function restorePoison(state: MergeState, blob: Uint8Array): void {
  const { reasons, recent } = decodeQuarantine(blob);
  for (const [reason, count] of Object.entries(reasons)) state.poison.reasons.set(reason, count);
  state.poison.recent = recent;
}

/** Forgets what a damaged blob makes unreadable, and says so. */
function repair(state: MergeState, name: BlobName, loaded: LoadedCheckpoint, effects: MergeEffect[]): void {
  if (name.kind === 'quarantine' || name.kind === 'window') return;
  effects.push({
    kind: 'alarm',
    fields: { host: name.host, blob: name.kind },
    message: 'a blob of the checkpoint is damaged beyond its predecessor',
  });
  const blobsOf = (table: string | undefined): (readonly [text: string, table: string])[] =>
    loaded.names.flatMap((text) => {
      const o = readable(text)[0];
      const ours =
        (o?.kind === 'series' || o?.kind === 'base' || o?.kind === 'last') &&
        o.host === name.host &&
        (table === undefined || o.table === table);
      return ours ? [[text, o.table] as const] : [];
    });
  if (name.kind === 'host') {
    const host = restoreHost({ ...decodeHost(new Uint8Array(0)), host: name.host });
    for (const [text, key] of blobsOf(undefined)) {
      state.drops.add(text);
      host.tables.set(key, abandoned(key));
    }
    state.hosts.set(name.host, host);
    return;
  }
  const host = state.hosts.get(name.host);
  if (!host) return;
  host.changed = true;
  const table = host.tables.get(name.table);
  // Series numbers whose labels are lost must not get other labels: windows hold increments by them.
  const key =
    table && name.kind === 'series' ? newTableKey(table.name, table.shape, (k) => host.tables.has(k)) : name.table;
  for (const l of host.lineages) {
    const position = l.tables.findIndex((t) => t.key === name.table);
    if (position < 0) continue;
    // What a keyframe brings back was counted before, in windows long past.
    if (l.readBoottimeNs > l.historyBoottimeNs) l.historyBoottimeNs = l.readBoottimeNs;
    host.unknown.push({
      startWallNs: l.createdWallNs,
      endWallNs: l.readWallNs,
      reason: 'store-damaged',
      probe: l.probe,
    });
    if (name.kind === 'last') {
      // Its overflow is new again too, and waits for a keyframe to say so.
      if (name.page === 0) rowsOf(state, name)?.forgetOverflow();
      continue;
    }
    giveUp(l.folded[position]!);
    if (name.kind === 'base') continue;
    l.tables[position] = { ...l.tables[position]!, key };
    for (const g of l.open) {
      const t = g.tables[position]!;
      g.tables[position] = { ...t, rows: new RowTable(t.rows.valueCount) };
    }
  }
  if (name.kind === 'last' || !table) return;
  for (const folded of host.folded.values()) if (folded.table === name.table) giveUp(folded);
  const base = new SumTable(table.base.valueCount, 0, table.base.bitsAt);
  if (name.kind === 'base') {
    host.tables.set(key, { ...table, base, baseChanged: true });
    return;
  }
  for (const [text] of blobsOf(name.table)) state.drops.add(text);
  host.tables.set(name.table, abandoned(name.table));
  const index = new SeriesIndex(table.index.labelCount);
  host.tables.set(key, { ...table, key, index, base, baseChanged: false, seriesWritten: 0 });
}

/** What was held in a base that is gone. */
function giveUp(folded: FoldedLedger): void {
  folded.lost += folded.held - folded.excess;
  folded.held = 0n;
  folded.excess = 0n;
}

/** Stands for a key that must not be used again; of no shape, so that no lineage finds it. */
function abandoned(key: string): TableState {
  const index = new SeriesIndex(0);
  const base = new SumTable(1);
  return { key, name: '', probe: '', shape: -1n, index, base, ...unchanged, seriesWritten: index.size };
}
