/** What is kept of a host besides its rows: who it is, how its clock stands, what was refused of it, when it was asked. */
import type { Batch } from '../../shared/contract/batch.ts';
import type { Missing } from '../../shared/contract/lineage.ts';
import type { Poison } from '../bus/receive.ts';
import type { HostState, MergeEffect, MergeState } from './state.ts';
import { skewMaxMs } from './windows.ts';

/** A host is asked for a keyframe at most so often, and so many times for one that does not come. */
const resyncEveryMs = 5_000;
const asksMax = 24;
/** A host's own labels are in its record, which is written with each checkpoint. */
const labelsMax = 64;
const labelCharsMax = 256;
const missingMax = 64;
/** Poison messages kept as examples. */
const recentMax = 16;

export const createHost = (host: string): HostState => ({
  host,
  labels: {},
  kernelRelease: '',
  bootId: '',
  readWallNs: 0n,
  mergedWallMs: 0,
  intervalNs: 0n,
  clockSkewMs: 0,
  synthetic: false,
  quarantinedBatches: 0n,
  tables: new Map(),
  lineages: [],
  folded: new Map(),
  unknown: [],
  missing: [],
  changed: false,
  resyncMs: -1e15,
  wanted: new Map(),
  sequence: 0n,
});

/** Counts a poison message; it changes no other count. */
export function quarantine(state: MergeState, poison: Poison, subject: string, bytes: number, nowMs: number): void {
  const { reasons } = state.poison;
  reasons.set(poison.reason, (reasons.get(poison.reason) ?? 0n) + 1n);
  state.poison.recent = [
    ...state.poison.recent.slice(1 - recentMax),
    {
      subject: subject.slice(0, 256),
      reason: `${poison.reason}: ${poison.detail}`.slice(0, 256),
      receivedWallMs: BigInt(nowMs),
      sizeBytes: bytes,
    },
  ];
  state.poison.changed = true;
  const host = poison.host === undefined ? undefined : state.hosts.get(poison.host);
  if (!host) return;
  host.quarantinedBatches++;
  host.changed = true;
}

/**
 * Wants a keyframe of a lineage (empty: of every live one) and asks for it. The request may be lost, and what was
 * missing may not show a second time: askAgain repeats it until the keyframe is here.
 */
export function askResync(
  host: HostState,
  reason: string,
  lineageUuid: string,
  nowMs: number,
  effects: MergeEffect[],
): void {
  if (lineageUuid !== '') host.wanted.set(lineageUuid, asksMax);
  else for (const l of host.lineages) if (l.status === 'live') host.wanted.set(l.uuid, asksMax);
  ask(host, reason, lineageUuid, nowMs, effects);
}

/** To be called while the host is heard of. */
export function askAgain(host: HostState, nowMs: number, effects: MergeEffect[]): void {
  if (host.wanted.size > 0) ask(host, 'a keyframe that was asked for did not come', '', nowMs, effects);
}

function ask(host: HostState, reason: string, lineageUuid: string, nowMs: number, effects: MergeEffect[]): void {
  if (Math.abs(nowMs - host.resyncMs) < resyncEveryMs) return;
  host.resyncMs = nowMs;
  for (const [uuid, left] of host.wanted) {
    if (left > 1) host.wanted.set(uuid, left - 1);
    else host.wanted.delete(uuid);
  }
  effects.push({ kind: 'resync', host: host.host, reason, lineageUuid });
}

export function describeHost(host: HostState, batch: Batch): void {
  if (batch.keyframe) {
    if (batch.part <= 1) host.labels = boundedLabels(batch.hostLabels);
    host.missing = boundedMissing(batch.missing);
    if (batch.kernelRelease) host.kernelRelease = batch.kernelRelease.slice(0, labelCharsMax);
  }
  host.bootId = Buffer.from(batch.lineage!.bootId).toString('hex');
  if (batch.intervalNs > 0n) host.intervalNs = batch.intervalNs;
  host.synthetic = batch.synthetic;
}

export function noteSkew(host: HostState, skewMs: number, effects: MergeEffect[]): void {
  const was = Math.abs(host.clockSkewMs) > skewMaxMs;
  const is = Math.abs(skewMs) > skewMaxMs;
  host.clockSkewMs = Math.round(skewMs);
  if (was !== is) {
    effects.push({
      kind: 'log',
      level: is ? 'warn' : 'info',
      fields: { host: host.host, skewMs: host.clockSkewMs },
      message: is ? 'host clock is far off: dated by the bus' : 'host clock is right again',
    });
  }
}

const boundedMissing = (missing: Batch['missing']): Missing[] =>
  missing.slice(0, missingMax).map(({ probe, program, hook, reason }) => ({
    probe: probe.slice(0, labelCharsMax),
    program: program.slice(0, labelCharsMax),
    hook: hook.slice(0, labelCharsMax),
    reason: reason.slice(0, labelCharsMax),
  }));

const boundedLabels = (labels: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(labels)
      .slice(0, labelsMax)
      .map(([name, value]) => [name.slice(0, labelCharsMax), value.slice(0, labelCharsMax)]),
  );
