/**
 * The agent's core: step(state, event) → effects. Pinned maps → rows → batch → bus, a function of pinned state: what it
 * remembers saves work, and nothing else. Synchronous and pure; time comes with ticks and images.
 */
import { batchSubject } from '../shared/contract/subjects.ts';
import { account, accountIfDue, accounted, createOwnAccounts } from './accounts.ts';
import { Effects, type AgentState } from './agent-state.ts';
import { createComposer } from './batch/compose.ts';
import { mayPublish, noteConfirmed, noteFailed } from './bus/in-flight.ts';
import type { AgentConfig } from './config.ts';
import type { AgentEffect, AgentEvent, LineageImage } from './effects.ts';
import { holdsActiveReads, type LineageState } from './lineage-state.ts';
import { found, opened, openFailed, retireIfEmpty } from './discovery.ts';
import { keysNeededFrom } from './kernel/table-rows.ts';
import { awaitNames, named } from './naming.ts';
import { publishUpdate, takeTables } from './publishing.ts';
import { durable, refused, resync } from './requests.ts';
import {
  adopt,
  controlWritten,
  finalConfirmed,
  gracePassed,
  publishSealed,
  readSealed,
  retiredWritten,
  sealIfDue,
  sealedImage,
  slotChecked,
} from './sealing.ts';

type EventOf<K extends AgentEvent['kind']> = Extract<AgentEvent, { kind: K }>;

export const createAgent = (config: AgentConfig): AgentState => ({
  config,
  subject: batchSubject(config.host),
  lineages: new Map(),
  unopened: new Map(),
  detached: new Map(),
  missing: [],
  tokens: new Map(),
  compose: createComposer(config.wireVersion),
  changed: [],
  own: createOwnAccounts(),
  nextToken: 1,
  sequence: 0n,
  now: { boottimeNs: 0n, wallNs: 0n },
  measureAtNs: 0n,
  busUp: true,
  stopping: false,
  stopped: false,
});

/** Applies one event. Effects are to be performed in order; each result is stepped before the next is performed. */
export function step(a: AgentState, event: AgentEvent): AgentEffect[] {
  const out = new Effects();
  switch (event.kind) {
    case 'found':
      found(a, event, out);
      break;
    case 'opened':
      opened(a, event, out);
      break;
    case 'open-failed':
      openFailed(a, event, out);
      break;
    case 'tick':
      a.now = event.now;
      a.own.cpuNs = event.cpuNs ?? 0n;
      accountIfDue(a, out);
      for (const l of a.lineages.values()) plan(a, l, out);
      measureIfDue(a, out);
      break;
    case 'measured':
      for (const l of a.lineages.values()) {
        const own = event.programs.filter((p) => p.uuid === l.meta.uuid);
        if (own.length > 0) l.measured = new Map(own.map(({ program, uuid: _, ...runs }) => [program, runs]));
      }
      break;
    case 'measure-failed':
      out.log('debug', 'cost not measured: the keeper did not answer', { reason: event.reason });
      break;
    case 'published':
    case 'publish-failed':
      answered(a, event, out);
      break;
    case 'bus':
      a.busUp = event.up;
      if (event.up) for (const l of a.lineages.values()) l.inFlight.retryAtNs = 0n;
      break;
    case 'resync':
      resync(a, event.payload, out);
      break;
    case 'durable':
      durable(a, event.payload, out);
      break;
    case 'refused':
      refused(event.payload, out);
      break;
    case 'stop':
      account(a, out);
      a.stopping = true;
      for (const l of a.lineages.values()) {
        if (l.last === 'no') l.last = 'wanted';
        plan(a, l, out);
      }
      break;
    default: {
      const l = a.lineages.get(event.directory);
      if (l) ofLineage(a, l, event, out);
    }
  }
  if (a.stopping && !a.stopped && [...a.lineages.values()].every((l) => l.last === 'done')) {
    a.stopped = true;
    out.add({ kind: 'stopped' });
  }
  return out.list;
}

type PinEvent = Exclude<Extract<AgentEvent, { readonly directory: string }>, EventOf<'opened' | 'open-failed'>>;

function ofLineage(a: AgentState, l: LineageState, event: PinEvent, out: Effects): void {
  switch (event.kind) {
    case 'image':
      l.readPending = false;
      takeImage(a, l, event.image, out);
      return;
    case 'named': {
      const waited = named(l, event.wanted, event.names);
      if (waited && waited.generation === l.active && !holdsActiveReads(l.phase))
        publishActive(a, l, waited.image, out);
      else if (waited && waited.generation === l.sealed && l.phase === 'reading')
        publishSealed(a, l, waited.image, out);
      return;
    }
    case 'pins-failed':
      if (event.effect === 'read') l.readPending = false;
      else if (event.effect !== 'account') l.phase = 'lost';
      out.log('warn', 'pinned maps refused an operation; trying again', {
        lineage: l.directory,
        effect: event.effect,
        reason: event.reason,
      });
      return;
    case 'accounted':
      accounted(a, event.answers, out);
      return;
    case 'grace-passed':
      gracePassed(l, out);
      return;
    case 'grace-failed':
      l.phase = 'lost';
      out.log('warn', 'grace period failed; trying again', { lineage: l.directory, reason: event.reason });
      return;
    case 'control-written':
      if (event.ok) controlWritten(a, l, out);
      else {
        l.phase = 'lost';
        out.log('error', 'control word was changed by another while the seal lock was held here', {
          lineage: l.directory,
          found: event.found.toString(16),
        });
      }
      return;
    case 'retired-written':
      retiredWritten(l, out);
      return;
    case 'slot-checked':
      slotChecked(l, event.slot, event.empty, out);
      return;
    case 'lock':
      if (event.held || l.phase === 'lost') adopt(a, l, event.control, event.retired, event.held, out);
      return;
    case 'retire-answered':
      if (!event.ok && !l.retireRefused) {
        l.retireRefused = true;
        out.log('warn', 'an ended lineage keeps its pins: the keeper did not remove them', {
          lineage: l.directory,
          reason: event.reason,
        });
      }
      return;
  }
}

/** What to do about a lineage now: at every tick, and whenever a message was answered while the agent stops. */
function plan(a: AgentState, l: LineageState, out: Effects): void {
  const now = a.now.boottimeNs;
  const { limits } = a.config;
  // Something failed, or a keyframe was asked for, since the last read: once more.
  if (l.last === 'sent' && l.inFlight.tokens.size === 0) l.last = l.active.keyframeDue ? 'wanted' : 'done';
  if (l.phase === 'broken' && l.last === 'wanted') l.last = 'done';
  if (l.last === 'done') {
    if (!l.gone || a.stopping) return;
    a.lineages.delete(l.directory);
    out.log('info', 'lineage is gone: closed', { lineage: l.directory });
    out.add({ kind: 'close', directory: l.directory });
    return;
  }
  if ((l.phase === 'lost' || l.phase === 'unlocked') && now >= l.lockRetryAtNs) {
    l.lockRetryAtNs = now + (l.phase === 'lost' ? a.config.intervalNs : limits.lockRetryNs);
    out.add({ kind: 'request-lock', directory: l.directory });
  }
  if (l.phase === 'durable' && now - l.finalConfirmedAtNs >= limits.durableRetryNs) {
    out.log('warn', 'no word that a sealed generation is durable: publishing it again', {
      lineage: l.directory,
      generation: String(l.control.generation - 1n),
    });
    l.phase = 'reading';
  }
  if (l.phase === 'reading') readSealed(a, l, out);
  if (l.readPending || l.last === 'sent' || holdsActiveReads(l.phase)) return;
  if (!a.busUp || !mayPublish(l.inFlight, limits.unconfirmedMax, now)) return;
  readActive(l, out);
}

function readActive(l: LineageState, out: Effects): void {
  l.readPending = true;
  out.add({
    kind: 'read',
    directory: l.directory,
    role: 'active',
    // What the last read leaves out would stay unsaid.
    keysFrom: l.active.tables.map((rows) => (l.last === 'no' ? keysNeededFrom(rows) : rows.firstUnknown)),
  });
}

function takeImage(a: AgentState, l: LineageState, image: LineageImage, out: Effects): void {
  // A copy that a flip or a clearing overtook may mix two generations.
  if (image.control !== image.controlAfter) return;
  if (image.control !== l.controlWord) {
    if (l.held && l.phase !== 'lost') {
      out.log('error', 'control word was changed by another while the seal lock was held here', {
        lineage: l.directory,
      });
    }
    const before = l.active;
    adopt(a, l, image.control, image.retired, l.held, out);
    if (image.role === 'active' && l.active !== before && l.phase === 'unlocked') readActive(l, out);
    if (l.active !== before || l.phase !== 'unlocked') return;
  }
  if (image.role === 'sealed') {
    sealedImage(a, l, image, out);
    return;
  }
  if (holdsActiveReads(l.phase)) return;
  takeTables(l, l.active, image);
  if (!awaitNames(l, l.active, image, out)) publishActive(a, l, image, out);
}

function publishActive(a: AgentState, l: LineageState, image: LineageImage, out: Effects): void {
  publishUpdate(a, l, l.active, image, false, out);
  if (l.last === 'wanted') l.last = 'sent';
  sealIfDue(a, l, image.readAt.boottimeNs, out);
  retireIfEmpty(l, image.readAt.boottimeNs, a.config.limits.retireRetryNs, out);
}

/** The first time some seconds after the start, so that what begins with it has settled. */
function measureIfDue(a: AgentState, out: Effects): void {
  const { measureEveryNs } = a.config;
  if (measureEveryNs === undefined || a.stopping || a.lineages.size === 0) return;
  const now = a.now.boottimeNs;
  if (a.measureAtNs === 0n) a.measureAtNs = now + (measureEveryNs < 5_000_000_000n ? measureEveryNs : 5_000_000_000n);
  if (now < a.measureAtNs) return;
  a.measureAtNs = now + measureEveryNs;
  out.add({ kind: 'measure' });
}

function answered(a: AgentState, event: EventOf<'published' | 'publish-failed'>, out: Effects): void {
  const l = a.tokens.get(event.token);
  if (!l) return;
  a.tokens.delete(event.token);
  if (event.kind === 'published') {
    noteConfirmed(l.inFlight, event.token);
    finalConfirmed(a, l, event.token, out);
  } else {
    const { failures } = l.inFlight;
    noteFailed(l.inFlight, event.token, a.now.boottimeNs, a.config.limits.retryMaxNs);
    l.active.keyframeDue = true;
    if (l.finalTokens.has(event.token)) {
      l.finalTokens.clear();
      if (l.phase === 'confirming') l.phase = 'reading';
    }
    const level = failures === 0 ? 'warn' : 'debug';
    out.log(level, 'publishing failed: the kernel keeps counting, and the next batch is a keyframe', {
      lineage: l.directory,
      code: event.code,
      reason: event.reason,
    });
  }
  if (l.last !== 'no') plan(a, l, out);
}
