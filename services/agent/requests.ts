/** What the aggregator tells this host, decoded and refused here: messages of a bus are nobody's word but their own. */
import { Durable, Refused, Resync } from '../shared/contract/batch.ts';
import { describeCause } from '../shared/runtime/errors.ts';
import type { AgentState, Effects } from './agent-state.ts';
import { releaseIfDurable } from './sealing.ts';

export function resync(a: AgentState, payload: Uint8Array, out: Effects): void {
  let message: Resync;
  try {
    message = Resync.decode(payload);
  } catch (cause) {
    out.log('warn', 'unreadable resync request', { reason: describeCause(cause) });
    return;
  }
  for (const l of a.lineages.values()) {
    if (message.lineageUuid.length > 0 && !equal(message.lineageUuid, l.ref.uuid)) continue;
    l.active.keyframeDue = true;
    if (l.phase === 'durable') l.phase = 'reading';
    out.log('info', 'keyframe asked for', { lineage: l.directory, reason: message.reason });
  }
}

export function durable(a: AgentState, payload: Uint8Array, out: Effects): void {
  let message: Durable;
  try {
    message = Durable.decode(payload);
  } catch (cause) {
    out.log('warn', 'unreadable word of durability', { reason: describeCause(cause) });
    return;
  }
  for (const l of a.lineages.values()) {
    if (!equal(message.lineageUuid, l.ref.uuid) || !equal(message.bootId, l.ref.bootId)) continue;
    if (message.generation > l.durableThrough) l.durableThrough = message.generation;
    releaseIfDurable(l, out);
  }
}

/** Nothing to do but to say so: what a refused message held is still in the kernel. */
export function refused(payload: Uint8Array, out: Effects): void {
  let message: Refused;
  try {
    message = Refused.decode(payload);
  } catch (cause) {
    out.log('warn', 'unreadable word of a refusal', { reason: describeCause(cause) });
    return;
  }
  out.log('warn', 'the aggregator refuses what this agent sends: the kernel keeps the counts', {
    code: message.reason,
    reason: message.detail,
  });
}

const equal = (x: Uint8Array, y: Uint8Array): boolean => x.length === y.length && x.every((byte, i) => byte === y[i]);
