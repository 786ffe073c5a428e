/**
 * The life of a generation: flip, wait, read to the end, have it durable, clear, verify (contract/control.ts). Each step
 * is one effect whose result is awaited, so that the process may die between any two; adopt() continues from the
 * control word whatever the last process was doing.
 */
import { unreachable } from '../shared/runtime/assert.ts';
import { decodeControl, encodeControl, type Control } from '../shared/contract/control.ts';
import { readRetiredRecord, withRetiredRecord } from './kernel/retired.ts';
import { countIdle } from './batch/changed-rows.ts';
import { mayPublish } from './bus/in-flight.ts';
import { awaitNames } from './naming.ts';
import { accountSealed } from './accounts.ts';
import { publishUpdate, settleSealed, takeTables } from './publishing.ts';
import type { AgentState, Effects } from './agent-state.ts';
import type { LineageImage } from './effects.ts';
import { createGeneration, type LineageState } from './lineage-state.ts';

const otherSlot = (l: LineageState): 0 | 1 => (l.control.slot ^ 1) as 0 | 1;
const second = 1_000_000_000n;
const idleCheckNs = 60n * second;

/** Takes the pins as they are. Without the lock nothing follows but reading. */
export function adopt(
  a: AgentState,
  l: LineageState,
  word: bigint,
  retired: BigUint64Array,
  held: boolean,
  out: Effects,
): void {
  const control = decodeControl(word);
  l.held = held;
  l.controlWord = word;
  l.sealed = undefined;
  l.sealedSeen = undefined;
  l.finalTokens.clear();
  if (!control) {
    l.phase = 'broken';
    out.log('error', 'control word is none that Muster writes: this lineage is left alone', {
      lineage: l.directory,
      word: word.toString(16),
    });
    return;
  }
  l.control = control;
  if (l.active.generation !== control.generation) {
    l.active = createGeneration(control.generation, l.meta);
    l.names.turn();
  }
  takeRetired(l, retired, out);
  if (!held) {
    l.phase = 'unlocked';
    return;
  }
  if (control.state !== 'counting') {
    out.log('info', 'continuing a generation that was being sealed', {
      lineage: l.directory,
      state: control.state,
      generation: String(control.generation - 1n),
    });
  }
  switch (control.state) {
    case 'counting':
      l.phase = 'checking';
      out.add({ kind: 'check-slot', directory: l.directory, slot: otherSlot(l) });
      return;
    case 'sealing':
      l.phase = 'grace';
      out.add({ kind: 'wait-grace', directory: l.directory });
      return;
    case 'sealed':
      l.phase = 'reading';
      readSealed(a, l, out);
      return;
    case 'clearing':
      clear(l, out);
      return;
    default:
      unreachable(control.state);
  }
}

/** The record that the control word makes valid: through the generation before the other slot's, or before the active one. */
function takeRetired(l: LineageState, words: BigUint64Array, out: Effects): void {
  const { state, generation } = l.control;
  const through = generation - (state === 'counting' || state === 'clearing' ? 1n : 2n);
  const record = readRetiredRecord(words, through < 0n ? 0n : through, l.meta.tables.length);
  l.retiredWords = words;
  if (record) l.retiredSeen = record;
  else
    out.log('error', 'retired sums are missing from the control map', {
      lineage: l.directory,
      generation: String(through),
    });
}

/** Ends the active generation if there is a reason to, after an image of it was sent. */
export function sealIfDue(a: AgentState, l: LineageState, nowNs: bigint, out: Effects): void {
  if (l.phase !== 'ready' || l.last !== 'no') return;
  const reason = reasonToSeal(a, l, nowNs);
  if (!reason) return;
  out.log('info', 'sealing a generation', { lineage: l.directory, generation: String(l.control.generation), reason });
  l.phase = 'flipping';
  l.flippedAtNs = nowNs;
  writeControl(l, { slot: otherSlot(l), state: 'sealing', generation: l.control.generation + 1n }, out);
}

function reasonToSeal(a: AgentState, l: LineageState, nowNs: bigint): string | undefined {
  const { limits } = a.config;
  const g = l.active;
  const age = nowNs - (g.startedAtNs ?? nowNs);
  if (g.tables.every((rows) => rows.ledger[0] === 0 && rows.ledger[1] === 0)) return undefined;
  if (l.ended) return 'ended';
  if (nowNs - l.flippedAtNs < limits.sealGapNs) return undefined;
  if (g.tables.some((rows) => rows.rowsIssued > rows.schema.rows * limits.sealFill)) return 'full';
  if (age >= limits.sealAgeNs) return 'old';
  if (nowNs - g.idleCheckedAtNs < idleCheckNs) return undefined;
  g.idleCheckedAtNs = nowNs;
  const idleS = Number(limits.idleNs / second);
  const mostlyIdle = g.tables.some(
    (rows, t) =>
      rows.rowsIssued >= limits.idleRowsMin &&
      countIdle(rows, g.sent[t]!, Number(age / second), idleS) > rows.rowsIssued * limits.sealIdleShare,
  );
  return mostlyIdle ? 'idle' : undefined;
}

function writeControl(l: LineageState, next: Control, out: Effects): void {
  out.add({ kind: 'write-control', directory: l.directory, expected: l.controlWord, word: encodeControl(next) });
}

/** The word that this phase was writing stands in the pins now. */
export function controlWritten(a: AgentState, l: LineageState, out: Effects): void {
  const { slot, generation } = l.control;
  const become = (next: Control): void => {
    l.control = next;
    l.controlWord = encodeControl(next);
  };
  switch (l.phase) {
    case 'flipping':
      become({ slot: otherSlot(l), state: 'sealing', generation: generation + 1n });
      l.sealed = l.active;
      l.active = createGeneration(generation + 1n, l.meta);
      l.names.turn();
      l.phase = 'grace';
      out.add({ kind: 'wait-grace', directory: l.directory });
      return;
    case 'marking':
      become({ slot, state: 'sealed', generation });
      l.phase = 'reading';
      readSealed(a, l, out);
      return;
    case 'releasing':
      become({ slot, state: 'clearing', generation });
      clear(l, out);
      return;
    case 'reopening':
      become({ slot, state: 'counting', generation });
      l.phase = 'ready';
      out.log('info', 'generation is durable and its slot empty again', {
        lineage: l.directory,
        generation: String(generation - 1n),
      });
      return;
    default:
      return;
  }
}

/** No program writes the old slot any more. */
export function gracePassed(l: LineageState, out: Effects): void {
  if (l.phase !== 'grace') return;
  l.phase = 'marking';
  writeControl(l, { ...l.control, state: 'sealed' }, out);
}

/** Asks for the final image, if the bus can take it. */
export function readSealed(a: AgentState, l: LineageState, out: Effects): void {
  if (l.readPending || !a.busUp) return;
  if (!mayPublish(l.inFlight, a.config.limits.unconfirmedMax, a.now.boottimeNs)) return;
  l.readPending = true;
  l.sealed ??= createGeneration(l.control.generation - 1n, l.meta);
  out.add({
    kind: 'read',
    directory: l.directory,
    role: 'sealed',
    keysFrom: l.sealed.tables.map((rows) => rows.firstUnknown),
  });
}

/** The final image: checked, and published whole. */
export function sealedImage(a: AgentState, l: LineageState, image: LineageImage, out: Effects): void {
  if (l.phase !== 'reading' || !l.sealed) return;
  takeTables(l, l.sealed, image);
  if (!awaitNames(l, l.sealed, image, out)) publishSealed(a, l, image, out);
}

export function publishSealed(a: AgentState, l: LineageState, image: LineageImage, out: Effects): void {
  if (!l.sealed) return;
  l.sealedSeen = settleSealed(l, l.sealed, out);
  accountSealed(a, l, l.sealed, out);
  l.finalTokens.clear();
  l.phase = 'confirming';
  for (const token of publishUpdate(a, l, l.sealed, image, true, out)) l.finalTokens.add(token);
}

/** A message of the final batch was confirmed: the last one ends the wait. */
export function finalConfirmed(a: AgentState, l: LineageState, token: number, out: Effects): void {
  if (!l.finalTokens.delete(token) || l.finalTokens.size > 0 || l.phase !== 'confirming') return;
  l.phase = 'durable';
  l.finalConfirmedAtNs = a.now.boottimeNs;
  // What is published again is read again, keys and all.
  l.sealed = undefined;
  releaseIfDurable(l, out);
}

/** Lets go of the sealed slot once a durable checkpoint covers it. */
export function releaseIfDurable(l: LineageState, out: Effects): void {
  if (l.phase !== 'durable' || !l.sealedSeen || l.durableThrough < l.control.generation - 1n) return;
  l.phase = 'recording';
  const seen = l.retiredSeen.map((sum, t) => BigInt.asUintN(64, sum + l.sealedSeen![t]!));
  const words = withRetiredRecord(l.retiredWords, l.control.generation - 1n, seen);
  l.retiredWords = words;
  out.add({ kind: 'write-retired', directory: l.directory, words });
}

export function retiredWritten(l: LineageState, out: Effects): void {
  if (l.phase !== 'recording' || !l.sealedSeen) return;
  l.retiredSeen = l.retiredSeen.map((sum, t) => BigInt.asUintN(64, sum + l.sealedSeen![t]!));
  l.sealedSeen = undefined;
  l.phase = 'releasing';
  writeControl(l, { ...l.control, state: 'clearing' }, out);
}

function clear(l: LineageState, out: Effects): void {
  l.phase = 'clearing';
  out.add({ kind: 'clear-slot', directory: l.directory, slot: otherSlot(l) });
  out.add({ kind: 'check-slot', directory: l.directory, slot: otherSlot(l) });
}

/** Whether the other slot is empty: never re-used unless it is. */
export function slotChecked(l: LineageState, slot: 0 | 1, empty: boolean, out: Effects): void {
  if (slot !== otherSlot(l)) return;
  if (l.phase === 'checking') {
    l.phase = empty ? 'ready' : 'blocked';
    if (!empty) {
      out.log('error', 'the idle slot holds counts that no generation claims: no generation is sealed any more', {
        lineage: l.directory,
        slot,
      });
    }
  } else if (l.phase === 'clearing') {
    if (empty) {
      l.phase = 'reopening';
      writeControl(l, { ...l.control, state: 'counting' }, out);
    } else {
      out.log('warn', 'a cleared slot is not empty: clearing it again', { lineage: l.directory, slot });
      l.phase = 'lost';
    }
  }
}
