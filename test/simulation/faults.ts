/**
 * Everything that can go wrong, by name. A fault acts on the world at its time and, where it lasts, ends by itself;
 * `heal` ends what is left when the run settles.
 */
import { hostFaults, restartAgent } from './host-faults.ts';
import { serviceFaults } from './service-faults.ts';
import type { World } from './world.ts';
import { wireNewest } from '../../services/shared/contract/wire.ts';

const faults = { ...hostFaults, ...serviceFaults };

export type FaultKind = keyof typeof faults;
export const faultKinds = Object.keys(faults) as FaultKind[];
/** False where there was nothing to harm. */
export const inflict = (kind: FaultKind, world: World): boolean => faults[kind](world);

/** Everything that lasts ends: what the world is when its counts must be exact. */
export function heal(w: World): void {
  w.healing = true;
  for (const m of w.machines) {
    Object.assign(m.link, { down: false, drop: 0, duplicate: 0, corrupt: 0, lostAck: 0, delayUs: 0 });
    m.host.slownessUs = 3_000;
    m.host.pinFaults.clearLeaves = 0;
    for (const agent of m.agents) Object.assign(agent, { failingCalls: 0, callsLeft: undefined });
    m.host.loaderCallsLeft = undefined;
    restartAgent(w, m, 1_000_000);
  }
  Object.assign(w, { busDown: false, storeDown: false, lostReply: 0, lateCommit: 0, reorder: false, tellDrop: 0 });
  for (const a of w.aggregators) a.effectsLeft = undefined;
  if (w.wireRead !== wireNewest) {
    w.wireRead = wireNewest;
    for (const a of w.aggregators) a.crash('replaced');
  }
  w.pauseSoon = undefined;
  w.stream.messagesMax = 400;
  w.queue.after(2_500_000, () => {
    if (w.aggregators.every((a) => a.dead || a.paused)) w.startAggregator();
  });
}
