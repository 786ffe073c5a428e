/**
 * Third stage: what changed since the last commit becomes blobs (contract/checkpoint.ts names them). Work and bytes
 * follow what changed, not what there is.
 */
import { rowsPerPage } from '../../shared/algebra/row-table.ts';
import { stated } from '../../shared/algebra/sampling.ts';
import {
  finestTier,
  formatBlobName,
  HostRecord,
  type LedgerRecord,
  type LineageRecord,
  pageRows,
  Quarantine,
} from '../../shared/contract/checkpoint.ts';
import {
  encodeLast,
  encodeSeriesPage,
  encodeSeriesValues,
  encodeWindow,
} from '../../shared/contract/checkpoint-codec.ts';
import { encodeMessage, u64 } from '../../shared/contract/encode.ts';
import { assert } from '../../shared/runtime/assert.ts';
import type { FoldedLedger, GenerationState, HostState, LineageState, MergeState, OpenWindow } from '../merge/state.ts';

assert(rowsPerPage === pageRows, 'a page of rows in memory is a page in the checkpoint');

/** True when the next commit would write something. */
export function hasChanges(state: MergeState): boolean {
  if (state.drops.size > 0 || state.poison.changed) return true;
  for (const host of state.hosts.values()) if (host.changed) return true;
  for (const window of state.windows.open.values()) if (window.changed) return true;
  return false;
}

/** Takes all changes: encodes them and marks the state as written. */
export function takeChanges(state: MergeState): { put: Map<string, Uint8Array>; drop: Set<string> } {
  const put = new Map<string, Uint8Array>();
  for (const host of state.hosts.values()) if (host.changed) takeHost(host, put);
  for (const window of state.windows.open.values()) {
    if (!window.changed) continue;
    window.changed = false;
    put.set(
      formatBlobName({
        kind: 'window',
        tier: finestTier.name,
        startMs: window.startMs,
        table: window.table,
        part: window.part,
      }),
      encodeOpen(window),
    );
  }
  if (state.poison.changed) {
    state.poison.changed = false;
    const reasons = Object.fromEntries(state.poison.reasons);
    put.set(
      formatBlobName({ kind: 'quarantine' }),
      encodeMessage(Quarantine, { reasons, recent: state.poison.recent }),
    );
  }
  const drop = new Set(state.drops);
  state.drops.clear();
  for (const name of put.keys()) drop.delete(name);
  return { put, drop };
}

function takeHost(host: HostState, put: Map<string, Uint8Array>): void {
  host.changed = false;
  for (const table of host.tables.values()) {
    if (table.baseChanged) {
      table.baseChanged = false;
      const blob = encodeSeriesValues({ valueCount: table.base.valueCount, ...table.base.nonZero() });
      put.set(formatBlobName({ kind: 'base', host: host.host, table: table.key }), blob);
    }
    const { index } = table;
    for (let page = Math.floor(table.seriesWritten / pageRows); table.seriesWritten < index.size; page++) {
      const first = page * pageRows;
      const count = Math.min(pageRows, index.size - first);
      const labels = { first, count, labelCount: index.labelCount, values: index.slice(first, count) };
      put.set(formatBlobName({ kind: 'series', host: host.host, table: table.key, page }), encodeSeriesPage(labels));
      table.seriesWritten = first + count;
    }
  }
  for (const lineage of host.lineages) {
    lineage.committing = lineage.foldedThrough;
    for (const g of lineage.open) {
      for (const [i, t] of g.tables.entries()) {
        for (const page of t.rows.changed) {
          const name = formatBlobName({
            kind: 'last',
            host: host.host,
            lineage: lineage.key,
            generation: g.generation,
            table: lineage.tables[i]!.key,
            page,
          });
          put.set(name, encodeLast({ valueCount: t.rows.valueCount, ...t.rows.page(page) }));
        }
        t.rows.changed.clear();
      }
    }
  }
  put.set(formatBlobName({ kind: 'host', host: host.host }), encodeMessage(HostRecord, hostRecord(host)));
}

function encodeOpen(window: OpenWindow): Uint8Array {
  const hosts = [...window.hosts].map(([host, part]) => ({
    host,
    increments: { valueCount: part.sums.valueCount, ...part.sums.nonZero() },
    seen: part.seen,
    failed: part.failed,
    skipped: part.skipped,
    sampled: stated(part.sampled),
    undivided: part.undivided,
    fromMs: Math.max(0, Math.floor(part.fromMs)),
    toMs: Math.max(0, Math.floor(part.toMs)),
  }));
  return encodeWindow({ startMs: window.startMs, lengthMs: finestTier.lengthMs, hosts });
}

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

function hostRecord(host: HostState): HostRecord {
  return {
    host: host.host,
    labels: host.labels,
    kernelRelease: host.kernelRelease,
    bootId: bytes(host.bootId),
    readWallNs: host.readWallNs,
    mergedWallMs: BigInt(host.mergedWallMs),
    intervalNs: host.intervalNs,
    lineages: host.lineages.map((l) => lineageRecord(l)),
    folded: [...host.folded.values()].map((f) => foldedRecord(f.probe, f.table, f)),
    unknown: host.unknown,
    synthetic: host.synthetic,
    quarantinedBatches: host.quarantinedBatches,
    clockSkewMs: BigInt(host.clockSkewMs),
    missing: [...host.missing],
    limitedRows: Object.fromEntries(
      [...host.tables.values()].filter((t) => t.limitedRows > 0n).map((t) => [t.key, t.limitedRows]),
    ),
  };
}

function lineageRecord(l: LineageState): LineageRecord {
  const ledgers: LedgerRecord[] = [];
  for (const [i, { key }] of l.tables.entries()) {
    const folded = l.folded[i]!;
    if (folded.held + folded.lost + folded.quarantined > 0n) ledgers.push(foldedRecord(l.probe, key, folded));
    for (const g of l.open) {
      const t = g.tables[i]!;
      ledgers.push({
        probe: l.probe,
        table: key,
        seen: t.seen,
        overflow: t.rows.overflow(),
        failed: t.failed,
        lost: lostOpen(l, g, i),
        quarantined: 0n,
        current: true,
        generation: g.generation,
        retiredSeen: t.retiredSeen,
        sealed: t.sealed,
        readBoottimeNs: t.readBoottimeNs,
        excess: 0n,
        sampled: stated(t.sampled),
      });
    }
  }
  return {
    uuid: bytes(l.uuid),
    bootId: bytes(l.bootId),
    probe: l.probe,
    createdBoottimeNs: l.createdBoottimeNs,
    createdWallNs: l.createdWallNs,
    schemaHash: l.schemaHash,
    schemaJson: l.schemaJson,
    generation: l.generation,
    foldedThrough: l.foldedThrough,
    readBoottimeNs: l.readBoottimeNs,
    state: l.status,
    ledgers,
    programs: l.programs,
    kernelBytes: l.kernelBytes,
    governed: l.governed,
    readWallNs: l.readWallNs,
    tableKeys: l.tables.map((t) => t.key),
    mergedWallMs: BigInt(l.mergedWallMs),
    historyBoottimeNs: l.historyBoottimeNs,
    detachedWallNs: l.detachedWallNs,
    heardWallMs: BigInt(Math.max(0, Math.floor(l.heardMs))),
  };
}

/**
 * What a generation saw and its rows do not hold, once no more is awaited: it is not the newest, or its lineage has
 * ended. A repeat that brings the rows after all takes it back.
 */
function lostOpen(lineage: LineageState, g: GenerationState, table: number): bigint {
  if (g.generation === lineage.generation && lineage.status === 'live') return 0n;
  const { seen, rows } = g.tables[table]!;
  const missing = seen - rows.total();
  return missing > 0n ? missing : 0n;
}

const foldedRecord = (probe: string, table: string, f: FoldedLedger): LedgerRecord => ({
  probe,
  table,
  seen: u64(f.held - f.excess + f.lost),
  overflow: u64(f.overflow),
  failed: f.failed.map(u64),
  lost: u64(f.lost),
  quarantined: u64(f.quarantined),
  current: false,
  generation: 0n,
  retiredSeen: 0n,
  sealed: false,
  readBoottimeNs: 0n,
  excess: u64(f.excess),
  sampled: stated(f.sampled),
});
