/** What can go wrong with the bus, the aggregators and the store. */
import { during, machine, seconds, type Fault } from './fault.ts';
import { flipped } from './world.ts';
import { batchSubject, partitionOf } from '../../services/shared/contract/subjects.ts';
import { wireNewest } from '../../services/shared/contract/wire.ts';

export const serviceFaults = {
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
  'aggregator clock stepped': (w) => {
    w.aggregatorWallOffsetUs +=
      w.random.pick([-31_536_000, -86_400, -3_600, -20, 20, 3_600, 86_400, 31_536_000]) * 1_000_000;
    return true;
  },
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
