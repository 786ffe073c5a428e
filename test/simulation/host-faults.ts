/** What can go wrong on a host, and on its way to the bus. */
import { variantsOf, type ProbeModel } from './catalogue.ts';
import { during, machine, seconds, type Fault } from './fault.ts';
import type { SimLineage } from './pins.ts';
import type { Machine, World } from './world.ts';
import { wireNewest, wireOldest } from '../../services/shared/contract/wire.ts';

function killAgents(m: Machine): void {
  for (const agent of m.agents) agent.kill();
  m.agents = [];
}

export function restartAgent(w: World, m: Machine, us: number): void {
  w.queue.after(us, () => {
    m.agents = m.agents.filter((a) => !a.dead);
    if (m.agents.length === 0) w.startAgent(m);
  });
}

const attached = (m: Machine): SimLineage[] => [...m.host.lineages.values()].filter((l) => l.attached);

function linkFault(set: (m: Machine) => void): Fault {
  return (w) => {
    const m = machine(w);
    return during(
      w,
      seconds(w, 2, 12),
      () => set(m),
      () => Object.assign(m.link, { down: false, drop: 0, duplicate: 0, corrupt: 0, lostAck: 0, delayUs: 0 }),
    );
  };
}

/** The loader gets another program for one of its probes. */
function upgrade(w: World, to: (model: ProbeModel) => ProbeModel, m = machine(w)): boolean {
  const at = w.random.below(m.host.programs.length);
  m.host.upgrade(at, { model: to(m.host.programs[at]!.model), tag: m.host.newTag() });
  return true;
}

export const hostFaults = {
  'agent killed': (w) => {
    const m = machine(w);
    killAgents(m);
    restartAgent(w, m, seconds(w, 0, 6));
    return true;
  },
  'agent killed at a call': (w) => {
    const m = machine(w);
    for (const agent of m.agents) agent.callsLeft = w.random.between(1, 120);
    for (let s = 2; s < 10; s += 2) restartAgent(w, m, s * 1_000_000);
    return m.agents.length > 0;
  },
  'agent paused': (w) => {
    const agent = machine(w).agents[0];
    if (!agent || agent.dead) return false;
    w.pauseSoon = agent;
    return true;
  },
  'second agent on the same pins': (w) => {
    const m = machine(w);
    const second = w.startAgent(m);
    w.queue.after(seconds(w, 3, 20), () => {
      // Either may go first.
      const victim = w.random.chance(0.5) ? m.agents[0] : second;
      victim?.kill();
      restartAgent(w, m, 500_000);
    });
    return true;
  },
  'agent of another wire version': (w) => {
    const m = machine(w);
    killAgents(m);
    m.wireVersion = m.wireVersion === wireNewest ? wireOldest : wireNewest;
    restartAgent(w, m, seconds(w, 0, 3));
    return true;
  },
  'pin calls fail': (w) => {
    const m = machine(w);
    for (const agent of m.agents) agent.failingCalls = w.random.between(1, 6);
    return m.agents.length > 0;
  },
  'clear leaves something': (w) => {
    machine(w).host.pinFaults.clearLeaves = w.random.between(1, 4);
    return true;
  },
  'slow programs': (w) => {
    const { host } = machine(w);
    return during(
      w,
      seconds(w, 3, 15),
      () => (host.slownessUs = 400_000),
      () => (host.slownessUs = 3_000),
    );
  },
  'host rebooted': (w) => {
    const m = machine(w);
    killAgents(m);
    m.host.reboot();
    restartAgent(w, m, seconds(w, 1, 5));
    return true;
  },
  'pins removed': (w) => {
    const m = machine(w);
    const lineages = attached(m);
    if (lineages.length === 0) return false;
    if (w.random.chance(0.5)) {
      killAgents(m);
      restartAgent(w, m, seconds(w, 0, 4));
    }
    m.host.removePins(w.random.pick(lineages).directory);
    return true;
  },
  'program upgraded': (w) => upgrade(w, (model) => model),
  'schema upgraded': (w) => upgrade(w, (model) => w.random.pick(variantsOf(model))),
  'loader restarted': (w) => {
    machine(w).host.bringUp();
    return true;
  },
  'loader killed at a call': (w) => {
    const m = machine(w);
    m.host.loaderCallsLeft = w.random.between(1, 6);
    return upgrade(w, (model) => model, m);
  },
  'host clock stepped': (w) => {
    const { host } = machine(w);
    host.wallOffsetUs += w.random.pick([-31_536_000, -86_400, -60, 60, 86_400, 31_536_000]) * 1_000_000;
    host.clockStepped = true;
    return true;
  },
  'network down': linkFault((m) => (m.link.down = true)),
  'messages dropped': linkFault((m) => (m.link.drop = 0.4)),
  'messages duplicated': linkFault((m) => (m.link.duplicate = 0.6)),
  'messages delayed': linkFault((m) => (m.link.delayUs = 4_000_000)),
  'messages corrupted': linkFault((m) => (m.link.corrupt = 0.4)),
  'acks lost': linkFault((m) => (m.link.lostAck = 0.5)),
} satisfies Record<string, Fault>;
