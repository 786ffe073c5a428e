/**
 * The core of one partition: bus/ → merge/ → checkpoint/. Synchronous and pure: events in, effects out (protocol.ts).
 *
 *   loading ──loaded──▶ running ──stop──▶ stopping ──▶ stopped          any ──conflict of another──▶ halted
 *
 * One commit at a time. What a failed commit carried goes into the next one; one whose outcome was never learned is
 * recognised by its id when the store turns out to hold it.
 */
import { checkpointFormat, CheckpointHead } from '../shared/contract/checkpoint.ts';
import { decodeHead } from '../shared/contract/checkpoint-codec.ts';
import { encodeMessage } from '../shared/contract/encode.ts';
import { assert } from '../shared/runtime/assert.ts';
import { MusterError } from '../shared/runtime/errors.ts';
import { createScratch, receive, type ReceiveScratch } from './bus/receive.ts';
import { isWorthALine, refuse, type Refusals } from './bus/refuse.ts';
import { tellDurable, tellResync } from './bus/tell.ts';
import { restore } from './checkpoint/restore.ts';
import { hasChanges, takeChanges } from './checkpoint/write.ts';
import { askResync, quarantine } from './merge/hosts.ts';
import { settleEnded } from './merge/lineages.ts';
import { countSeries } from './merge/limits.ts';
import { createMergeState, knownSchema, merge } from './merge/merge.ts';
import type { HostState, LineageState, MergeEffect, MergeState } from './merge/state.ts';
import { retire } from './merge/windows.ts';
import type { PartitionConfig, PartitionEffect, PartitionEvent } from './protocol.ts';

export type { PartitionConfig, PartitionEffect, PartitionEvent } from './protocol.ts';
export { isWanted } from './checkpoint/restore.ts';

interface Identity {
  readonly version: bigint;
  readonly commitId: string;
}

interface InFlight {
  readonly identity: Identity;
  readonly put: Map<string, Uint8Array>;
  readonly drop: Set<string>;
  readonly sequences: readonly bigint[];
}

export interface Partition {
  readonly config: PartitionConfig;
  phase: 'loading' | 'running' | 'stopping' | 'stopped' | 'halted';
  readonly merged: MergeState;
  readonly scratch: ReceiveScratch;
  readonly refusals: Refusals;
  head: Identity | undefined;
  streamIdentity: string;
  streamSequence: bigint;
  /** Merged since the last commit was made. */
  pending: bigint[];
  inFlight: InFlight | undefined;
  /** A commit that failed, or whose outcome is unknown: the next one carries its changes too. */
  failed: InFlight | undefined;
  commits: number;
}

/** A durable generation is told again at most so often. */
const tellEveryMs = 5_000;

export const createPartition = (config: PartitionConfig): Partition => ({
  config,
  phase: 'loading',
  merged: createMergeState(config.partition, config.limits),
  scratch: createScratch(),
  refusals: new Map(),
  head: undefined,
  streamIdentity: '',
  streamSequence: 0n,
  pending: [],
  inFlight: undefined,
  failed: undefined,
  commits: 0,
});

/** True when a commit-due event would make a commit. */
export const isDirty = (p: Partition): boolean =>
  p.pending.length > 0 || p.failed !== undefined || hasChanges(p.merged) || hasUnannounced(p);

export function step(p: Partition, event: PartitionEvent): PartitionEffect[] {
  const effects: PartitionEffect[] = [];
  if (p.phase === 'halted' || p.phase === 'stopped') return effects;
  assert((p.phase === 'loading') === (event.kind === 'loaded'), `event ${event.kind} while ${p.phase}`);
  switch (event.kind) {
    case 'loaded':
      load(p, event, effects);
      break;
    case 'batch':
      take(p, event, effects);
      break;
    case 'commit-due':
      commit(p, event.nowMs, effects);
      break;
    case 'committed':
      confirm(p, event.nowMs, effects);
      break;
    case 'commit-failed':
      assert(p.inFlight !== undefined, 'commit-failed without a commit');
      p.failed = p.inFlight;
      p.inFlight = undefined;
      break;
    case 'conflict':
      resolve(p, event, effects);
      break;
    case 'stop':
      p.phase = 'stopping';
      commit(p, event.nowMs, effects);
      break;
  }
  if (p.phase === 'stopping' && !p.inFlight && event.kind !== 'commit-failed') {
    if (p.pending.length > 0 || p.failed || hasChanges(p.merged)) commit(p, event.nowMs, effects);
    else {
      p.phase = 'stopped';
      effects.push({ kind: 'stopped' });
    }
  }
  return effects;
}

function load(p: Partition, event: Extract<PartitionEvent, { kind: 'loaded' }>, effects: PartitionEffect[]): void {
  const { checkpoint } = event;
  p.phase = 'running';
  p.streamIdentity = event.streamIdentity;
  if (!checkpoint) return;
  const merging: MergeEffect[] = [];
  try {
    const head = decodeHead(checkpoint.head.head);
    restore(p.merged, checkpoint, merging);
    countSeries(p.merged);
    p.head = { version: checkpoint.head.version, commitId: checkpoint.head.commitId };
    if (head.streamIdentity === event.streamIdentity) p.streamSequence = head.streamSequence;
    else
      effects.push({
        kind: 'log',
        level: 'warn',
        fields: { partition: p.config.partition, was: head.streamIdentity, is: event.streamIdentity },
        message: 'the stream was made again',
      });
  } catch (cause) {
    p.phase = 'halted';
    const error =
      cause instanceof MusterError
        ? cause
        : new MusterError('store/corrupt', 'read checkpoint: cannot be read', { cause });
    effects.push({ kind: 'halt', error });
    return;
  }
  if (checkpoint.fellBack) {
    effects.push({
      kind: 'alarm',
      fields: { partition: p.config.partition, version: String(checkpoint.head.version) },
      message: 'the newest checkpoint is damaged: the one before it is used',
    });
  }
  // What was acknowledged after this checkpoint, or lost with a stream, comes back with a keyframe.
  for (const host of p.merged.hosts.values()) askResync(host, 'the aggregator starts', '', event.nowMs, merging);
  relay(merging, effects);
}

function take(p: Partition, event: Extract<PartitionEvent, { kind: 'batch' }>, effects: PartitionEffect[]): void {
  const { subject, payload, nowMs } = event;
  p.pending.push(event.sequence);
  if (event.sequence > p.streamSequence) p.streamSequence = event.sequence;
  const checked = receive(subject, payload, p.config.partition, p.scratch, (host, key) =>
    knownSchema(p.merged, host, key, event.storedMs ?? nowMs),
  );
  if (checked.kind === 'poison') {
    quarantine(p.merged, checked, subject, payload.length, nowMs);
    const count = p.merged.poison.reasons.get(checked.reason)!;
    if (isWorthALine(count)) {
      const { reason, detail } = checked;
      const fields = { subject: subject.slice(0, 256), reason, detail, count: String(count) };
      effects.push({ kind: 'log', level: 'warn', fields, message: 'message quarantined' });
    }
    const told = refuse(p.refusals, checked, nowMs);
    if (told) effects.push(told);
    return;
  }
  const merging: MergeEffect[] = [];
  const lineage = merge(p.merged, checked, nowMs, event.storedMs ?? nowMs, merging);
  relay(merging, effects);
  // The host still sends, or starts anew with, what is durable: it may have missed the word.
  if (lineage && lineage.announced > 0n && (checked.batch.keyframe || checked.batch.generation <= lineage.announced)) {
    announce(p.merged.hosts.get(checked.host)!, lineage, lineage.announced, nowMs, effects);
  }
}

function commit(p: Partition, nowMs: number, effects: PartitionEffect[]): void {
  if (p.inFlight) return;
  for (const host of p.merged.hosts.values()) settleEnded(p.merged, host);
  retire(p.merged, nowMs);
  countSeries(p.merged);
  if (!isDirty(p)) return;
  const { put, drop } = takeChanges(p.merged);
  const sequences = p.pending;
  p.pending = [];
  if (p.failed) {
    for (const [name, blob] of p.failed.put) if (!put.has(name) && !drop.has(name)) put.set(name, blob);
    for (const name of p.failed.drop) if (!put.has(name)) drop.add(name);
    sequences.unshift(...p.failed.sequences);
  }
  const version = (p.head?.version ?? 0n) + 1n;
  const commitId = `${p.config.nonce}-${++p.commits}`;
  const head = encodeMessage(CheckpointHead, {
    formatVersion: checkpointFormat,
    version,
    commitId,
    streamIdentity: p.streamIdentity,
    streamSequence: p.streamSequence,
    committedWallMs: BigInt(Math.max(0, Math.floor(nowMs))),
  });
  // A failed commit stays known until this one's outcome is: it may turn out to have taken place.
  p.inFlight = { identity: { version, commitId }, put, drop, sequences };
  effects.push({
    kind: 'commit',
    request: {
      partition: p.config.partition,
      expected: p.head,
      next: { version, commitId, head },
      put,
      drop: [...drop],
    },
  });
}

function confirm(p: Partition, nowMs: number, effects: PartitionEffect[]): void {
  assert(p.inFlight !== undefined, 'committed without a commit');
  const { identity, sequences } = p.inFlight;
  p.head = identity;
  p.inFlight = undefined;
  p.failed = undefined;
  if (sequences.length > 0) effects.push({ kind: 'ack', sequences });
  for (const host of p.merged.hosts.values()) {
    for (const lineage of host.lineages) {
      // One checkpoint late: the newest one may still be undone, the one before it may not.
      if (lineage.committed > lineage.announced) {
        lineage.announced = lineage.committed;
        lineage.toldMs = -1e15;
        announce(host, lineage, lineage.announced, nowMs, effects);
      }
      lineage.committed = lineage.committing;
    }
  }
}

function resolve(p: Partition, event: Extract<PartitionEvent, { kind: 'conflict' }>, effects: PartitionEffect[]): void {
  assert(p.inFlight !== undefined, 'conflict without a commit');
  const { found } = event;
  const successor = (p.head?.version ?? 0n) + 1n;
  if (p.failed && found?.version === successor && found.commitId.startsWith(`${p.config.nonce}-`)) {
    // A commit whose outcome was unknown did take place. Its changes are in this one too, which now follows on it.
    p.head = found;
    p.failed = p.inFlight;
    p.inFlight = undefined;
    commit(p, event.nowMs, effects);
    return;
  }
  p.phase = 'halted';
  const cause = `expected ${nameOf(p.head)}, found ${nameOf(found)}`;
  effects.push({
    kind: 'halt',
    error: new MusterError('store/conflict', `commit checkpoint of partition ${p.config.partition}: it has moved on`, {
      cause,
    }),
  });
}

const nameOf = (identity: Identity | undefined): string =>
  identity ? `version ${identity.version} (${identity.commitId})` : 'none';

/** Folded generations that a host has not been told of: they need one more checkpoint, and a commit to get there. */
function hasUnannounced(p: Partition): boolean {
  for (const host of p.merged.hosts.values())
    for (const l of host.lineages) if (l.foldedThrough > l.announced) return true;
  return false;
}

function announce(
  host: HostState,
  lineage: LineageState,
  generation: bigint,
  nowMs: number,
  effects: PartitionEffect[],
): void {
  if (Math.abs(nowMs - lineage.toldMs) < tellEveryMs) return;
  lineage.toldMs = nowMs;
  effects.push(tellDurable(host.host, lineage, generation));
}

const relay = (merging: readonly MergeEffect[], effects: PartitionEffect[]): void => {
  for (const e of merging) effects.push(e.kind === 'resync' ? tellResync(e.host, e.reason, e.lineageUuid) : e);
};
