/**
 * The supervisor of `muster up` as a pure state machine: step(state, event) → effects.
 * Invariants: a role runs at most once; a role starts only after what it needs was ready; once stopping, nothing is
 * started; roles stop one after another in `stopOrder`; every wait has an end.
 */
import { newHealth, noteAnswer, noteSilence, type Health } from './health.ts';
import { stopOrder, type RoleName, type RolePlan } from './roles.ts';

export const backOff = { firstMs: 200, largestMs: 10_000, resetAfterMs: 30_000 } as const;
/** A keeper that does not answer cannot detach; the stop goes on without. */
export const detachMs = 3_000;
/** How long a hurried stop waits for a process before it kills it. */
export const hurryMs = 2_000;

export type SuperviseEvent =
  | { readonly kind: 'begin' }
  | { readonly kind: 'ready'; readonly role: RoleName }
  | {
      readonly kind: 'exited';
      readonly role: RoleName;
      readonly code: number | undefined;
      readonly signal: string | undefined;
    }
  /** A server of our own was asked whether it answers. */
  | { readonly kind: 'asked'; readonly role: RoleName; readonly answered: boolean; readonly reason: string }
  | { readonly kind: 'detached' }
  /** The first asks to stop, each further one to hurry. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'tick' };

export type SuperviseEffect =
  | { readonly kind: 'spawn'; readonly role: RoleName }
  | { readonly kind: 'signal'; readonly role: RoleName; readonly signal: 'SIGTERM' | 'SIGKILL' }
  /** Ask the keeper to detach the programs; answer with `detached`. */
  | { readonly kind: 'detach' }
  /** All roles are ready for the first time. */
  | { readonly kind: 'up' }
  /** A restart was decided; for a person. */
  | { readonly kind: 'restarting'; readonly role: RoleName; readonly reason: string; readonly afterMs: number }
  | { readonly kind: 'killing'; readonly role: RoleName; readonly reason: string }
  /** A role could not start even once: everything stops. */
  | { readonly kind: 'failed'; readonly role: RoleName; readonly reason: string }
  /** Send `tick` at this time; the latest such effect holds. */
  | { readonly kind: 'wake'; readonly atMs: number }
  /** Every process has ended. */
  | { readonly kind: 'done' };

interface RoleState {
  readonly plan: RolePlan;
  phase: 'waiting' | 'starting' | 'ready' | 'pausing' | 'ended';
  /** Ready at least once: from then on its death means a restart, not a failed start. */
  wasReady: boolean;
  startedMs: number;
  backOffMs: number;
  /** When a pausing role starts again. */
  resumeMs: number;
  readonly health: Health;
}

export interface SuperviseState {
  readonly roles: Map<RoleName, RoleState>;
  announced: boolean;
  stopping: undefined | { step: 'detach' | RoleName; deadlineMs: number; killed: boolean };
  hurry: boolean;
  done: boolean;
}

export function newSupervision(plans: readonly RolePlan[]): SuperviseState {
  const roles = new Map<RoleName, RoleState>();
  for (const plan of plans) {
    roles.set(plan.name, {
      plan,
      phase: 'waiting',
      wasReady: false,
      startedMs: 0,
      backOffMs: 0,
      resumeMs: 0,
      health: newHealth(),
    });
  }
  return { roles, announced: false, stopping: undefined, hurry: false, done: false };
}

export function supervise(state: SuperviseState, event: SuperviseEvent, nowMs: number): SuperviseEffect[] {
  const effects: SuperviseEffect[] = [];
  switch (event.kind) {
    case 'begin':
    case 'tick':
      break;
    case 'ready': {
      const role = state.roles.get(event.role);
      if (role?.phase !== 'starting') break;
      role.phase = 'ready';
      role.wasReady = true;
      noteAnswer(role.health, nowMs);
      break;
    }
    case 'asked':
      onAsked(state, event, nowMs, effects);
      break;
    case 'exited':
      onExit(state, event, nowMs, effects);
      break;
    case 'detached':
      if (state.stopping?.step === 'detach') stopNext(state, 'detach', nowMs, effects);
      break;
    case 'stop':
      beginStop(state, nowMs, effects);
      break;
  }
  if (state.stopping) advanceStop(state, nowMs, effects);
  else startDue(state, nowMs, effects);
  return effects;
}

function startDue(state: SuperviseState, nowMs: number, effects: SuperviseEffect[]): void {
  let wakeMs = Infinity;
  for (const role of state.roles.values()) {
    const may =
      role.phase === 'waiting'
        ? role.plan.needs.every((need) => state.roles.get(need)?.wasReady ?? true)
        : role.phase === 'pausing' && nowMs >= role.resumeMs;
    if (may) {
      role.phase = 'starting';
      role.startedMs = nowMs;
      effects.push({ kind: 'spawn', role: role.plan.name });
    } else if (role.phase === 'pausing') wakeMs = Math.min(wakeMs, role.resumeMs);
  }
  if (!state.announced && [...state.roles.values()].every((role) => role.phase === 'ready')) {
    state.announced = true;
    effects.push({ kind: 'up' });
  }
  if (wakeMs < Infinity) effects.push({ kind: 'wake', atMs: wakeMs });
}

/** A server that runs and does not answer is killed: it would not heed a milder signal. Its exit starts it again. */
function onAsked(
  state: SuperviseState,
  event: Extract<SuperviseEvent, { kind: 'asked' }>,
  nowMs: number,
  effects: SuperviseEffect[],
): void {
  const role = state.roles.get(event.role);
  if (role?.phase !== 'ready' || state.stopping) return;
  if (event.answered) return noteAnswer(role.health, nowMs);
  const silentMs = noteSilence(role.health, nowMs);
  if (silentMs === undefined) return;
  const seconds = Math.round(silentMs / 1000);
  effects.push({ kind: 'killing', role: event.role, reason: `no answer for ${seconds} s (${event.reason})` });
  effects.push({ kind: 'signal', role: event.role, signal: 'SIGKILL' });
}

function onExit(
  state: SuperviseState,
  event: Extract<SuperviseEvent, { kind: 'exited' }>,
  nowMs: number,
  effects: SuperviseEffect[],
): void {
  const role = state.roles.get(event.role);
  if (!role || (role.phase !== 'starting' && role.phase !== 'ready')) return;
  const reason = event.signal ? `killed by ${event.signal}` : `exit code ${event.code ?? 'unknown'}`;
  role.phase = 'ended';
  if (state.stopping) return;
  if (!role.wasReady && !event.signal) {
    // It said why itself; trying again would only bury that.
    effects.push({ kind: 'failed', role: event.role, reason });
    beginStop(state, nowMs, effects);
    return;
  }
  if (nowMs - role.startedMs >= backOff.resetAfterMs) role.backOffMs = 0;
  const afterMs = role.backOffMs === 0 ? backOff.firstMs : Math.min(role.backOffMs * 2, backOff.largestMs);
  role.backOffMs = afterMs;
  role.phase = 'pausing';
  role.resumeMs = nowMs + afterMs;
  effects.push({ kind: 'restarting', role: event.role, reason, afterMs });
}

function beginStop(state: SuperviseState, nowMs: number, effects: SuperviseEffect[]): void {
  if (state.stopping) {
    if (state.hurry) return;
    state.hurry = true;
    const { stopping } = state;
    if (stopping.step === 'detach') stopNext(state, 'detach', nowMs, effects);
    else stopping.deadlineMs = Math.min(stopping.deadlineMs, nowMs + hurryMs);
    return;
  }
  for (const role of state.roles.values()) {
    if (role.phase === 'waiting' || role.phase === 'pausing') role.phase = 'ended';
  }
  if (state.roles.get('keeper')?.phase === 'ready') {
    // Counting ends before the final read, so that nothing is counted which nobody reads.
    state.stopping = { step: 'detach', deadlineMs: nowMs + detachMs, killed: false };
    effects.push({ kind: 'detach' });
  } else stopNext(state, 'detach', nowMs, effects);
}

/** Goes on to the first role after `from` that still runs, and asks it to end. */
function stopNext(state: SuperviseState, from: 'detach' | RoleName, nowMs: number, effects: SuperviseEffect[]): void {
  const rest = from === 'detach' ? stopOrder : stopOrder.slice(stopOrder.indexOf(from) + 1);
  const next = rest.map((name) => state.roles.get(name)).find((role) => role && role.phase !== 'ended');
  if (!next) {
    state.stopping ??= { step: 'detach', deadlineMs: nowMs, killed: false };
    if (!state.done) effects.push({ kind: 'done' });
    state.done = true;
    return;
  }
  const name = next.plan.name;
  const limitMs = state.hurry ? hurryMs : next.plan.stopMs;
  state.stopping = { step: name, deadlineMs: nowMs + limitMs, killed: false };
  effects.push({ kind: 'signal', role: name, signal: 'SIGTERM' });
}

function advanceStop(state: SuperviseState, nowMs: number, effects: SuperviseEffect[]): void {
  const stopping = state.stopping!;
  if (state.done) return;
  const { step } = stopping;
  if (step === 'detach') {
    if (nowMs >= stopping.deadlineMs) stopNext(state, 'detach', nowMs, effects);
  } else if (state.roles.get(step)?.phase === 'ended') stopNext(state, step, nowMs, effects);
  else if (nowMs >= stopping.deadlineMs && !stopping.killed) {
    stopping.killed = true;
    effects.push({ kind: 'killing', role: step, reason: 'it did not stop in time' });
    effects.push({ kind: 'signal', role: step, signal: 'SIGKILL' });
  }
  const now = state.stopping!;
  if (!state.done && !now.killed) effects.push({ kind: 'wake', atMs: now.deadlineMs });
}
