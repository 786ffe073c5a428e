/** What can befall the bus: purged, deleted, a byte flipped on disk, out of disk, and messages that nobody understands. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type JetStreamManager } from 'nats';
import { batchSubject, streamName } from '../../../services/shared/contract/subjects.ts';
import type { World } from '../world.ts';
import { over, pause, type Fault } from './fault.ts';

/** A final batch that is gone comes again when no word of its durability came for 30 s. */
const withinMs = 60_000;

async function withStream<T>(world: World, act: (manager: JetStreamManager) => Promise<T>): Promise<T> {
  await world.nats.ready();
  const connection = await connect({ servers: `127.0.0.1:${world.natsPort}` });
  try {
    return await act(await connection.jetstreamManager());
  } finally {
    await connection.close();
  }
}

/** Batches pile up, confirmed to the agents and merged by nobody. */
const whileNobodyMerges = (world: World, ms: number, act: () => Promise<void>): Promise<void> =>
  world.aggregator.whilePaused(async () => {
    await pause(ms);
    await act();
  });

const purged: Fault = {
  kind: 'stream purged',
  withinMs,
  inflict: async (world, random) => {
    let gone = 0;
    await whileNobodyMerges(world, random.between(500, 1_500), async () => {
      gone = (await withStream(world, (manager) => manager.streams.purge(streamName))).purged;
    });
    return gone === 0 ? undefined : over(`${gone} messages`);
  },
};

const deleted: Fault = {
  kind: 'stream deleted',
  withinMs,
  inflict: async (world, random) => {
    const idle = random.chance(0.5);
    const act = (): Promise<void> =>
      withStream(world, async (manager) => void (await manager.streams.delete(streamName)));
    if (idle) await act();
    else await whileNobodyMerges(world, random.between(500, 1_500), act);
    return over(idle ? 'under a running aggregator' : 'with what nobody had merged');
  },
};

function blocksOf(folder: string): string[] {
  return (readdirSync(folder, { recursive: true, encoding: 'utf8' }) as string[])
    .filter((name) => name.endsWith('.blk') && name.includes('msgs'))
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).size > 0)
    .sort((a, b) => statSync(b).size - statSync(a).size);
}

const flipped: Fault = {
  kind: 'byte of the stream flipped',
  withinMs,
  inflict: async (world, random) => {
    let what: string | undefined;
    await whileNobodyMerges(world, random.between(500, 1_500), async () => {
      await world.nats.whileDown(() => {
        const [block] = blocksOf(world.natsDisk.path);
        if (block === undefined) return Promise.resolve();
        const bytes = readFileSync(block);
        // The newest messages are at the end; what was merged long ago may lie before them.
        const at = bytes.length - 1 - random.below(Math.min(bytes.length, 40_000));
        bytes[at] = bytes[at]! ^ (1 << random.below(8));
        writeFileSync(block, bytes);
        what = `byte ${at} of ${bytes.length}`;
        return Promise.resolve();
      });
      await world.nats.ready();
    });
    return what === undefined ? undefined : over(what);
  },
};

/** Does JetStream answer? */
async function answers(world: World): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), 5_000)));
  const asked = withStream(world, (manager) => manager.streams.info(streamName)).then(
    () => true,
    () => false,
  );
  const result = await Promise.race([asked, late]);
  clearTimeout(timer);
  return result;
}

/** nats-server 2.9 may hang behind a full disk, its connections open and no request answered: then it is started again. */
const noDisk: Fault = {
  kind: 'bus out of disk',
  withinMs,
  inflict: async (world, random) => {
    const ms = random.between(500, 1_500);
    world.natsDisk.fill();
    try {
      await pause(ms);
    } finally {
      world.natsDisk.free();
    }
    if (await answers(world)) return over(`for ${ms} ms`);
    await world.nats.kill();
    return over(`for ${ms} ms; nats-server hung and was started again`);
  },
};

/** Refused, counted, and nothing else changes. */
const poison: Fault = {
  kind: 'garbage on the bus',
  inflict: async (world, random) => {
    const host = random.pick(world.hosts);
    const refused = async (): Promise<number> =>
      Number((await world.ask('GetHost', { host: host.name })).host!.quarantinedBatches);
    const before = await refused();
    const count = random.between(1, 20);
    await world.nats.ready();
    const connection = await connect({ servers: `127.0.0.1:${world.natsPort}` });
    for (let i = 0; i < count; i++) connection.publish(batchSubject(host.name), random.bytes(random.below(3_000)));
    connection.publish('muster.v1.batch.0.a=ZZ', random.bytes(10));
    await connection.flush();
    await connection.close();
    for (const end = performance.now() + 10_000; (await refused()) < before + count; await pause(100)) {
      if (performance.now() > end)
        throw new Error(`${host.name}: of ${count} bad messages ${(await refused()) - before} are counted`);
    }
    const counted = (await refused()) - before;
    if (counted !== count) throw new Error(`${host.name}: ${count} bad messages are counted as ${counted}`);
    return over(`${count} messages for ${host.name}`);
  },
};

export const busFaults: readonly Fault[] = [purged, deleted, flipped, noDisk, poison];
