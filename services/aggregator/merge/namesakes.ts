/**
 * Two machines under one host name. A machine that boots again has fallen silent under its old boot id, so what looks
 * like a reboot is one until the old boot goes on speaking: an agent has fewer messages unconfirmed than `proof`, so the
 * last of so many reads that the bus took after the heir's first was made after the heir had spoken. Then the heir is
 * set aside, whole, and stated: its machine keeps all that it counts, and brings it in under a name of its own.
 * Likewise the heir: one that spoke no more often than messages can be on their way, and then fell silent, was the boot
 * before, whose last words the network held back until its own heir had spoken.
 *
 * When the machine that counts is gone for long, the one set aside takes its place: its past was counted by nobody, and
 * goes into the lifetime totals as history that is not dated.
 */
import type { CheckedBatch } from '../bus/receive.ts';
import { addGap, addUnknown } from './gaps.ts';
import { askResync } from './hosts.ts';
import { isSetAside, setAside } from './lineages.ts';
import type { HostState, LineageState, MergeEffect, MergeState } from './state.ts';

/** Reads. Twice what an agent may have unconfirmed (agent/config.ts, unconfirmedMax). */
const proof = 8;
const onTheirWay = 4;
/** A cut network or a long boot is shorter. */
const aloneMaxMs = 300_000;

/** To be called with each batch of a lineage, before it is merged. */
export function watchNamesakes(
  state: MergeState,
  host: HostState,
  lineage: LineageState,
  checked: CheckedBatch,
  time: { readonly storedMs: number; readonly nowMs: number },
  effects: MergeEffect[],
): void {
  const { batch } = checked;
  if (lineage.heardMs === 0) lineage.heardMs = time.storedMs;
  // Repeats and late comers prove nothing.
  if (batch.readBoottimeNs <= lineage.readBoottimeNs) return;
  lineage.reads++;
  const others = host.lineages.filter((l) => l.bootId !== lineage.bootId);
  if (others.length === 0) return;
  if (lineage.status === 'live') {
    for (const l of others) l.aloneSinceMs = l.readsInARow = 0;
  } else if (lineage.status === 'ended') {
    const heir = others.find((l) => l.probe === lineage.probe && l.status === 'live');
    if (!heir || heir.heardMs === 0 || time.storedMs <= heir.heardMs) return;
    lineage.readsSinceHeir++;
    lineage.readsInARow++;
    if (lineage.readsSinceHeir < proof) return;
    if (heir.reads >= proof) {
      // The one that came later, whichever of the two was taken for the heir.
      if (heir.heardMs >= lineage.heardMs) yieldTo(state, host, lineage, heir, effects);
      else yieldTo(state, host, heir, lineage, effects);
      askResync(host, 'another machine bore this name', '', time.nowMs, effects);
    } else if (lineage.readsInARow >= proof && heir.reads <= onTheirWay) {
      takeOver(host, lineage, heir);
      askResync(host, 'it was the boot before that spoke last', '', time.nowMs, effects);
    }
  } else if (lineage.status === 'namesake') {
    if (lineage.aloneSinceMs === 0) lineage.aloneSinceMs = time.storedMs;
    if (time.storedMs - lineage.aloneSinceMs <= aloneMaxMs) return;
    succeed(host, lineage, others, batch, effects);
    askResync(host, 'it counts from now on', lineage.uuid, time.nowMs, effects);
  }
}

function yieldTo(
  state: MergeState,
  host: HostState,
  elder: LineageState,
  heir: LineageState,
  effects: MergeEffect[],
): void {
  // What is proven of one probe holds for the machine.
  for (const l of host.lineages) {
    if (l.bootId !== heir.bootId || isSetAside(l)) continue;
    setAside(state, host, l, 'namesake');
    l.aloneSinceMs = 0;
    const before = host.lineages.filter((e) => e.probe === l.probe && e.bootId === elder.bootId).at(-1);
    if (before?.status === 'ended') before.status = 'live';
    if (before) before.readsSinceHeir = 0;
    // It was no reboot.
    host.unknown = host.unknown.filter(
      (u) => !(u.reason === 'reboot' && u.probe === l.probe && u.endWallNs === l.createdWallNs),
    );
  }
  elder.status = 'live';
  elder.readsSinceHeir = 0;
  effects.push({
    kind: 'alarm',
    fields: { host: host.host, probe: elder.probe, counted: elder.bootId, setAside: heir.bootId },
    message: 'two machines report under one host name: the one that came later is set aside; give it another --host',
  });
}

/** The two change places: the heir was the boot before. */
function takeOver(host: HostState, lineage: LineageState, heir: LineageState): void {
  for (const before of host.lineages) {
    if (before.bootId !== heir.bootId || before.status !== 'live') continue;
    const after = host.lineages.filter((l) => l.bootId === lineage.bootId && l.probe === before.probe).at(-1);
    if (after?.status !== 'ended') continue;
    before.status = 'ended';
    after.status = 'live';
    after.readsSinceHeir = after.readsInARow = before.readsSinceHeir = before.readsInARow = 0;
    host.unknown = host.unknown.filter(
      (u) => !(u.reason === 'reboot' && u.probe === before.probe && u.endWallNs === before.createdWallNs),
    );
    addGap(host, before, before.readWallNs, after);
  }
}

function succeed(
  host: HostState,
  lineage: LineageState,
  others: readonly LineageState[],
  batch: CheckedBatch['batch'],
  effects: MergeEffect[],
): void {
  for (const l of others) {
    if (l.probe !== lineage.probe || l.status !== 'live') continue;
    l.status = 'ended';
    l.readsSinceHeir = 0;
  }
  lineage.status = 'live';
  lineage.aloneSinceMs = 0;
  lineage.historyBoottimeNs = batch.readBoottimeNs;
  for (const folded of lineage.folded) folded.quarantined = 0n;
  addUnknown(host, lineage.createdWallNs, batch.readWallNs, 'unknown-history', lineage.probe);
  effects.push({
    kind: 'log',
    level: 'warn',
    fields: { host: host.host, probe: lineage.probe, bootId: lineage.bootId },
    message: 'the machine that bore this host name is gone: the other of this name counts from now on',
  });
}
