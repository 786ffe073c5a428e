/**
 * Everything that can go wrong, by name. A fault acts on the world at its time and, where it lasts, ends by itself;
 * `heal` ends what is left when the run settles. Returns false where there was nothing to harm.
 */
import { flipped, type Machine, type World } from './world.ts';
import { wireNewest, wireOldest } from '../../services/shared/contract/wire.ts';
import { variantsOf, type ProbeModel } from './catalogue.ts';
import type { SimLineage } from './pins.ts';
import { batchSubject, partitionOf } from '../../services/shared/contract/subjects.ts';

type Fault = (world: World) => boolean;

const machine = (w: World): Machine => w.random.pick(w.machines);
const seconds = (w: World, low: number, high: number): number => w.random.between(low * 1000, high * 1000) * 1000;

/** Sets something for a while. */
function during(w: World, us: number, begin: () => void, end: () => void): boolean {
  begin();
  w.queue.after(us, () => {
    if (!w.healing) end();
  });
  return true;
}

function killAgents(m: Machine): void {
  for (const agent of m.agents) agent.kill();
  m.agents = [];
}

function restartAgent(w: World, m: Machine, us: number): void {
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

const faults = {
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
  'aggregator of the wire version before': (w) => {
    // Agents that were upgraded too soon are refused until the aggregator is; one told to write the old version is not.
    const replaced = (newest: number): void => {
      w.wireRead = newest;
      for (const a of w.aggregators) a.crash('replaced');
    };
    return during(
      w,
      seconds(w, 5, 20),
      () => replaced(wireNewest - 1),
      () => replaced(wireNewest),
    );
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
  'aggregator clock stepped': (w) => {
    w.aggregatorWallOffsetUs +=
      w.random.pick([-31_536_000, -86_400, -3_600, -20, 20, 3_600, 86_400, 31_536_000]) * 1_000_000;
    return true;
  },
  'network down': linkFault((m) => (m.link.down = true)),
  'messages dropped': linkFault((m) => (m.link.drop = 0.4)),
  'messages duplicated': linkFault((m) => (m.link.duplicate = 0.6)),
  'messages delayed': linkFault((m) => (m.link.delayUs = 4_000_000)),
  'messages corrupted': linkFault((m) => (m.link.corrupt = 0.4)),
  'acks lost': linkFault((m) => (m.link.lostAck = 0.5)),
  'deliveries reordered': (w) =>
    during(
      w,
      seconds(w, 3, 15),
      () => (w.reorder = true),
      () => (w.reorder = false),
    ),
  'aggregator told nobody': (w) =>
    during(
      w,
      seconds(w, 5, 15),
      () => (w.tellDrop = 0.9),
      () => (w.tellDrop = 0),
    ),
  'aggregator killed': (w) => {
    const victim = w.aggregators[0];
    victim?.crash('killed');
    return victim !== undefined;
  },
  'aggregator killed at an effect': (w) => {
    const victim = w.aggregators[0];
    if (!victim) return false;
    victim.effectsLeft = w.random.between(1, 25);
    return true;
  },
  'aggregator paused': (w) => {
    const victim = w.aggregators.find((a) => !a.paused);
    if (!victim) return false;
    victim.pause(seconds(w, 2, 15));
    w.startAggregator();
    return true;
  },
  'bus unreachable': (w) =>
    during(
      w,
      seconds(w, 2, 12),
      () => {
        w.busDown = true;
        for (const m of w.machines) m.link.down = true;
      },
      () => {
        w.busDown = false;
        for (const m of w.machines) m.link.down = false;
      },
    ),
  'store unreachable': (w) =>
    during(
      w,
      seconds(w, 2, 12),
      () => (w.storeDown = true),
      () => (w.storeDown = false),
    ),
  'commit reply lost': (w) =>
    during(
      w,
      seconds(w, 3, 10),
      () => (w.lostReply = 0.7),
      () => (w.lostReply = 0),
    ),
  'commit late': (w) =>
    during(
      w,
      seconds(w, 3, 10),
      () => (w.lateCommit = 0.6),
      () => (w.lateCommit = 0),
    ),
  'stream purged': (w) => {
    w.stream.purge();
    return true;
  },
  'stream made anew': (w) => {
    w.stream.recreate();
    return true;
  },
  'stream truncated': (w) => w.stream.truncate(),
  'garbage published': (w) => {
    const { name } = machine(w).host;
    const partition = partitionOf(name);
    // Bytes that are none, a host that is not this partition's, and another host's own message under this one's name.
    const stored = w.stream.all().at(-1);
    const subjects = [batchSubject(name), `muster.v1.batch.${partition}.nobody`, `muster.v1.batch.${partition}.a.b`];
    const payloads = [w.random.bytes(w.random.below(200)), new Uint8Array(0), ...(stored ? [stored.payload] : [])];
    for (let i = w.random.between(1, 6); i > 0; i--) {
      const id = `garbage-${w.random.next()}`;
      w.stream.store(w.random.pick(subjects), id, w.random.pick(payloads), w.queue.nowUs);
    }
    w.pump(partition);
    return true;
  },
  'bus restarted': (w) => {
    w.stream.restart();
    return true;
  },
  'stream full': (w) =>
    during(
      w,
      seconds(w, 4, 12),
      () => (w.stream.messagesMax = 0),
      () => (w.stream.messagesMax = 400),
    ),
  'stored message lost': (w) => {
    const all = w.stream.all();
    for (const m of all) if (w.random.chance(0.5)) w.stream.drop(m);
    return all.length > 0;
  },
  'stored message flipped': (w) => {
    const all = w.stream.all();
    for (const m of all) if (w.random.chance(0.5)) m.payload = flipped(m.payload, w.random);
    return all.length > 0;
  },
  'checkpoint flipped': (w) => {
    const partition = w.random.pick(w.partitions);
    const name = w.store.damage(partition, (count) => w.random.below(count));
    if (name === undefined) return false;
    w.trace(`flipped ${name} of ${partition}`);
    // Nobody notices before it is read again.
    for (const a of w.aggregators) a.crash('killed after damage');
    return true;
  },
  'store rolled back': (w) => {
    w.store.dump();
    w.queue.after(seconds(w, 3, 20), () => {
      if (w.healing) return;
      w.trace('store rolls back');
      w.store.rollBack();
    });
    return true;
  },
  'store flushed': (w) => {
    w.store.flush();
    return true;
  },
} satisfies Record<string, Fault>;

export type FaultKind = keyof typeof faults;
export const faultKinds = Object.keys(faults) as FaultKind[];
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
