/**
 * Which lineage of a (host, probe) counts. Any number may be known; the youngest is live, those before it are ended,
 * and what still arrives of an ended one (its last read may come after its successor's first) is joined all the same.
 *
 * Two lineages that see the same events are told from an upgrade by proof: an older one whose `seen` grew between two
 * reads that both lie after the younger's creation was still attached. Then the younger is quarantined. Two machines of
 * one name: namesakes.ts.
 */
import { SumTable } from '../../shared/algebra/sum-table.ts';
import type { TableSchema } from '../../shared/contract/lineage.ts';
import { finestTier } from '../../shared/contract/checkpoint.ts';
import type { CheckedBatch } from '../bus/receive.ts';
import { addGap, addUnknown, gapReason, toldUntilNs } from './gaps.ts';
import { emptyFolded, foldAll, lastBlobs, moveLedger } from './fold.ts';
import type { HostState, LineageState, MergeEffect, MergeState } from './state.ts';
import { wholeSince } from './seconds.ts';
import { tableFor } from './tables.ts';
import { correctedNs, takeBack } from './windows.ts';

/** An ended lineage of which nothing came for so long is folded as it stands. */
const quietNs = 600_000_000_000n;
/** A machine that still bears the name of a new one proves it sooner (namesakes.ts): ten intervals, and half a minute. */
const namesakeMs = (host: HostState): number => Math.max(30_000, Number(host.intervalNs / 100_000n));
/**
 * Unfolded generations of a lineage that wait for its elder's word. An agent begins the third only when it was told that
 * the first is durable, which it is when it is folded: two are open, and a few more after a store was set back.
 */
const openMax = 8;
/** Ended and folded lineages remembered, so that a late repeat counts nothing. */
const endedMax = 32;

/** Makes the lineage of a batch that brings its schema, and settles what it means for its elders. */
export function beginLineage(
  host: HostState,
  checked: CheckedBatch,
  tables: readonly TableSchema[],
  correctionNs: bigint,
  storedMs: number,
  effects: MergeEffect[],
): LineageState {
  const { batch } = checked;
  const ref = batch.lineage!;
  const patience =
    2n * batch.intervalNs > BigInt(finestTier.lengthMs) * 1_000_000n
      ? 2n * batch.intervalNs
      : BigInt(finestTier.lengthMs) * 1_000_000n;
  const old = batch.readBoottimeNs > ref.createdBoottimeNs + patience;
  const lineage: LineageState = {
    key: checked.lineageKey,
    bootId: checked.lineageKey.slice(0, 32),
    uuid: checked.lineageKey.slice(32),
    probe: ref.probe,
    createdBoottimeNs: ref.createdBoottimeNs,
    createdWallNs: correctedNs(ref.createdWallNs, correctionNs),
    schemaHash: ref.schemaHash,
    schemaJson: batch.schemaJson,
    tables: tables.map((schema) => ({ schema, key: tableFor(host, schema, ref.probe).key })),
    status: 'live',
    generation: batch.generation,
    // Two slots: what lies before the generation before this one will never come.
    foldedThrough: batch.generation > 2n ? batch.generation - 2n : 0n,
    readBoottimeNs: 0n,
    readWallNs: 0n,
    mergedWallMs: 0,
    historyBoottimeNs: old ? batch.readBoottimeNs : 0n,
    detachedWallNs: batch.lineage!.detachedWallNs,
    open: [],
    folded: tables.map(emptyFolded),
    programs: [],
    kernelBytes: undefined,
    governed: undefined,
    committing: 0n,
    committed: 0n,
    announced: 0n,
    toldMs: -1e15,
    heardMs: 0,
    readsSinceHeir: 0,
    readsInARow: 0,
    whole: wholeSince(batch.lineage!.createdBoottimeNs),
    reads: 0,
    aloneSinceMs: 0,
  };
  const kin = host.lineages.filter((l) => l.probe === lineage.probe);
  const elder = kin.filter((l) => l.status === 'live').at(-1);
  const heir =
    youngerOf(kin, lineage) ??
    (elder && elder.bootId !== lineage.bootId && storedMs < elder.heardMs ? elder : undefined);
  if (heir) {
    // Overtaken: its heir was heard of first; of another boot that is told by when the bus had the two.
    lineage.status = 'ended';
    addGap(host, lineage, correctedNs(toldUntilNs(batch), correctionNs), heir);
  } else if (host.lineages.some((l) => l.status === 'namesake' && l.bootId === lineage.bootId)) {
    lineage.status = 'namesake';
  } else {
    for (const l of kin) if (l.status === 'live') l.status = 'ended';
    if (elder) {
      addGap(host, elder, elder.readWallNs, lineage);
      effects.push({
        kind: 'log',
        level: 'info',
        fields: { host: host.host, probe: lineage.probe, reason: gapReason(elder, lineage) },
        message: 'a new lineage continues the probe',
      });
    }
  }
  if (old) {
    addUnknown(
      host,
      lineage.createdWallNs,
      correctedNs(batch.readWallNs, correctionNs),
      'unknown-history',
      lineage.probe,
    );
    effects.push({
      kind: 'log',
      level: 'info',
      fields: { host: host.host, probe: lineage.probe },
      message: 'lineage older than its first sight: lifetime totals only',
    });
  }
  host.lineages.push(lineage);
  return lineage;
}

/** The next of the same boot. */
const youngerOf = (kin: readonly LineageState[], lineage: LineageState): LineageState | undefined =>
  kin
    .filter((l) => l.bootId === lineage.bootId && l.createdBoottimeNs > lineage.createdBoottimeNs)
    .sort((a, b) => (a.createdBoottimeNs < b.createdBoottimeNs ? -1 : 1))[0];

/**
 * False for a generation beyond the number of those that may wait. What it counted is no more merged than what is lost
 * on the way: the lineage's own sums say so later, and then it stands as lost.
 */
export const hasRoomFor = (
  host: HostState,
  lineage: LineageState,
  batch: { readonly generation: bigint; readonly readBoottimeNs: bigint },
  storedMs: number,
): boolean =>
  lineage.open.length < openMax ||
  batch.generation <= lineage.foldedThrough ||
  lineage.open.some((g) => g.generation === batch.generation) ||
  !mayBeTakenBack(host, lineage, storedMs, batch.readBoottimeNs);

/** Of what nothing is counted and all is stated. */
export const isSetAside = (l: LineageState): boolean => l.status === 'quarantined' || l.status === 'namesake';

/** Called when an older lineage proved to count still: every younger one of the same boot sees the same events. */
export function quarantineYounger(
  state: MergeState,
  host: HostState,
  elder: LineageState,
  provenSinceNs: bigint,
  effects: MergeEffect[],
): void {
  for (const l of host.lineages) {
    if (l.probe !== elder.probe || l.bootId !== elder.bootId || isSetAside(l)) continue;
    if (l.createdBoottimeNs <= elder.createdBoottimeNs || l.createdBoottimeNs > provenSinceNs) continue;
    setAside(state, host, l, 'quarantined');
    elder.status = 'live';
    // The older one counted all the while: no time between the two is unknown, nor any history of the younger.
    host.unknown = host.unknown.filter(
      (u) => u.probe !== l.probe || (u.endWallNs !== l.createdWallNs && u.startWallNs !== l.createdWallNs),
    );
    effects.push({
      kind: 'alarm',
      fields: { host: host.host, probe: elder.probe, counted: elder.uuid, quarantined: l.uuid },
      message: 'two live lineages count the same events: the younger is quarantined',
    });
  }
}

/** Takes back what a lineage has added to open windows and running totals, and states it. */
export function setAside(
  state: MergeState,
  host: HostState,
  l: LineageState,
  status: 'quarantined' | 'namesake',
): void {
  for (const g of l.open) {
    for (const name of lastBlobs(host.host, l, g)) state.drops.add(name);
    for (const [i, t] of g.tables.entries()) {
      const table = host.tables.get(l.tables[i]!.key)!;
      const counted = new SumTable(table.base.valueCount, table.index.size);
      t.rows.addTo(counted);
      takeBack(state, table.key, host.host, counted);
      const folded = l.folded[i]!;
      const seen = t.seen + t.retiredSeen;
      if (seen > folded.quarantined) folded.quarantined = seen;
    }
  }
  l.open.length = 0;
  l.status = status;
}

/**
 * True while an older lineage of the same boot may count the same events, read by nobody for the moment: what this one
 * holds may have to be taken back, and what is folded cannot be. Over once the older one is detached, or long quiet.
 * Likewise at first where an older one is of another boot, which may prove to be another machine. `readBoottimeNs`: of
 * a read of this lineage that is not merged yet.
 */
export const mayBeTakenBack = (
  host: HostState,
  lineage: LineageState,
  storedMs: number,
  readBoottimeNs = 0n,
): boolean =>
  host.lineages.some(
    (l) =>
      l.probe === lineage.probe &&
      l.status === 'ended' &&
      l.tables.length > 0 &&
      (l.bootId === lineage.bootId
        ? l.createdBoottimeNs < lineage.createdBoottimeNs &&
          l.detachedWallNs === 0n &&
          !quiet(host, l, lineage.status === 'live' ? readBoottimeNs : 0n)
        : lineage.status === 'live' && Math.abs(storedMs - lineage.heardMs) < namesakeMs(host)),
  );

/**
 * Folds ended lineages of which nothing came while their successor counted on for ten minutes, by the host's own
 * monotonic clock; and forgets the oldest of those that are folded.
 */
export function settleEnded(state: MergeState, host: HostState): void {
  let folded = 0;
  for (const l of host.lineages) {
    if (l.tables.length === 0) folded++;
    if (l.status === 'live' || l.tables.length === 0 || !quiet(host, l)) continue;
    if (l.open.length > 0) {
      foldAll(state, host, l);
      host.changed = true;
    }
    // The schema goes when another lineage still describes the same tables.
    const described = l.tables.every((t) =>
      host.lineages.some((o) => o !== l && o.tables.some((u) => u.key === t.key)),
    );
    if (!described) continue;
    moveLedger(host, l);
    l.schemaJson = '';
    l.tables = [];
    folded++;
    host.changed = true;
  }
  for (let i = 0; i < host.lineages.length && folded > endedMax; i++) {
    if (host.lineages[i]!.tables.length > 0) continue;
    host.lineages.splice(i--, 1);
    folded--;
    host.changed = true;
  }
}

function quiet(host: HostState, ended: LineageState, heirReadNs = 0n): boolean {
  const heir = host.lineages.find((l) => l.probe === ended.probe && l.status === 'live');
  if (!heir) return false;
  // Of another machine: no clock of one tells of the other.
  if (ended.status === 'namesake') return BigInt(heir.mergedWallMs - ended.mergedWallMs) * 1_000_000n > quietNs;
  const since =
    heir.bootId === ended.bootId && ended.readBoottimeNs > heir.createdBoottimeNs
      ? ended.readBoottimeNs
      : heir.createdBoottimeNs;
  const newest = heirReadNs > heir.readBoottimeNs ? heirReadNs : heir.readBoottimeNs;
  return newest - since > quietNs;
}
