/** Which lineages there are: opened when their directories appear, let go when those vanish. */
import { parseLineageMeta, type LineageMeta } from '../shared/contract/lineage.ts';
import { uncarried, wireFormat } from '../shared/contract/wire.ts';
import { describeCause } from '../shared/runtime/errors.ts';
import type { AgentState, Effects } from './agent-state.ts';
import type { AgentEvent } from './effects.ts';
import { createLineage, type LineageState } from './lineage-state.ts';
import { adopt } from './sealing.ts';

type EventOf<K extends AgentEvent['kind']> = Extract<AgentEvent, { kind: K }>;

/** All directories there are: new ones are opened, of lost ones the mapped memory is read once more. */
export function found(a: AgentState, event: EventOf<'found'>, out: Effects): void {
  const { directories, ended = [], detached = new Map<string, bigint>(), missing = [] } = event;
  a.detached = detached;
  if (JSON.stringify(missing) !== JSON.stringify(a.missing)) {
    a.missing = missing;
    // Any one keyframe tells it.
    const [teller] = a.lineages.values();
    if (teller) teller.active.keyframeDue = true;
  }
  for (const l of a.lineages.values()) noteDetached(a, l);
  const present = new Set(directories);
  for (const directory of a.unopened.keys()) if (!present.has(directory)) a.unopened.delete(directory);
  for (const l of a.lineages.values()) {
    if (present.has(l.directory) || l.gone) continue;
    l.gone = true;
    if (l.last === 'no') l.last = 'wanted';
    markEnded(a, l.meta.probe);
  }
  for (const directory of ended) {
    const l = a.lineages.get(directory);
    if (!l || l.unloaded) continue;
    l.unloaded = true;
    out.log('info', 'its probe was unloaded: sending what is left', { lineage: directory });
    markEnded(a, l.meta.probe);
  }
  if (a.stopping) return;
  for (const directory of directories) {
    const failed = a.unopened.get(directory);
    // One that does not open at once may be in the making; later it is tried now and then.
    if (failed && (failed.foreign || (failed.tries >= 5 && failed.tries++ % 30 !== 0))) continue;
    if (!a.lineages.has(directory)) out.add({ kind: 'open', directory });
  }
}

export function opened(a: AgentState, event: EventOf<'opened'>, out: Effects): void {
  const { directory } = event;
  let meta: LineageMeta;
  try {
    meta = parseLineageMeta(event.metaJson);
  } catch (cause) {
    a.unopened.set(directory, { tries: 1, foreign: true });
    out.log('warn', 'lineage of a format that this version does not read: left alone', {
      lineage: directory,
      reason: describeCause(cause),
    });
    out.add({ kind: 'close', directory });
    return;
  }
  const held = uncarried(meta.tables, wireFormat(a.config.wireVersion)!);
  if (held.length > 0) {
    a.unopened.set(directory, { tries: 1, foreign: true });
    out.log('warn', 'lineage held back, the kernel counts on: its tables need a newer --wire-version', {
      lineage: directory,
      wireVersion: a.config.wireVersion,
      tables: held.map((t) => `${t.name} (${t.kind})`),
    });
    out.add({ kind: 'close', directory });
    return;
  }
  a.unopened.delete(directory);
  const l = createLineage(directory, meta, { machine: a.config.machine, privacy: a.config.privacy });
  noteDetached(a, l);
  a.lineages.set(directory, l);
  out.log('info', 'reading a lineage', {
    lineage: directory,
    probe: meta.probe,
    tables: meta.tables.map((t) => t.name),
    locked: event.locked,
  });
  adopt(a, l, event.control, event.retired, event.locked, out);
  markEnded(a, meta.probe);
}

export function openFailed(a: AgentState, event: EventOf<'open-failed'>, out: Effects): void {
  const tries = (a.unopened.get(event.directory)?.tries ?? 0) + 1;
  a.unopened.set(event.directory, { tries, foreign: false });
  // The loader may be in the middle of making it.
  out.log(tries === 5 ? 'warn' : 'debug', 'lineage cannot be opened', {
    lineage: event.directory,
    reason: event.reason,
    tries,
  });
}

/** Reads of a detached lineage tell nothing of the time since: its messages say so. */
function noteDetached(a: AgentState, l: LineageState): void {
  const detachedWallNs = a.detached.get(l.directory);
  if (detachedWallNs !== undefined) l.ref = { ...l.ref, detachedWallNs };
}

/** Of the lineages of one probe all but the newest have ended: the loader attaches one at a time. An unloaded one, too. */
function markEnded(a: AgentState, probe: string): void {
  const same = [...a.lineages.values()].filter((l) => l.meta.probe === probe && !l.gone);
  const newest = same.reduce<LineageState | undefined>(
    (x, y) => (x && x.ref.createdBoottimeNs >= y.ref.createdBoottimeNs ? x : y),
    undefined,
  );
  for (const l of same) l.ended = l !== newest || l.unloaded;
}

/** An ended lineage whose slots are both empty has nothing left to tell. */
export function retireIfEmpty(l: LineageState, nowNs: bigint, retryNs: bigint, out: Effects): void {
  if (!l.ended || l.phase !== 'ready' || l.last !== 'no' || nowNs < l.retireAtNs) return;
  if (l.active.tables.some((rows) => rows.ledger[0] !== 0 || rows.ledger[1] !== 0)) return;
  l.retireAtNs = nowNs + retryNs;
  out.add({ kind: 'retire', directory: l.directory, probe: l.meta.probe, uuid: l.meta.uuid });
}
