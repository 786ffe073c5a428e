/** What can befall the store: flushed, set back to an older copy, a bit flipped, out of memory, out of disk. */
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { World } from '../world.ts';
import { over, pause, type Fault } from './fault.ts';

async function withRedis<T>(world: World, act: (redis: Redis) => Promise<T>): Promise<T> {
  await world.redis.ready();
  const redis = new Redis({ port: world.redisPort, host: '127.0.0.1', lazyConnect: true });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await act(redis);
  } finally {
    redis.disconnect();
  }
}

const flush: Fault = {
  kind: 'store flushed',
  mayLose: true,
  declaresUnknown: true,
  inflict: async (world, random) => {
    await withRedis(world, (redis) => redis.flushall());
    const killed = random.chance(0.5);
    if (killed) await world.aggregator.kill();
    return over(killed ? 'and the aggregator killed' : 'under a running aggregator');
  },
};

/** The copy is taken in one fault and comes back in a later one, with all that happened in between undone. */
const older: Fault = {
  kind: 'store set back',
  mayLose: true,
  inflict: async (world, random) => {
    const files = join(world.redisDisk.path, 'appendonlydir');
    const copy = join(world.directory, 'redis-copy');
    const take = (): void => cpSync(files, copy, { recursive: true });
    const taken = existsSync(copy);
    if (!taken) {
      take();
      await pause(random.between(2_000, 6_000));
    }
    await world.redis.whileDown(() => {
      rmSync(files, { recursive: true });
      cpSync(copy, files, { recursive: true });
      return Promise.resolve();
    });
    await world.redis.ready();
    const killed = random.chance(0.5);
    if (killed) await world.aggregator.kill();
    const endedAt = performance.now();
    rmSync(copy, { recursive: true });
    take();
    return {
      what: `to ${taken ? 'the copy of last time' : 'a copy of seconds ago'}${killed ? ', and the aggregator killed' : ''}`,
      endedAt,
    };
  },
};

const flipped: Fault = {
  kind: 'bit of a checkpoint flipped',
  mayLose: true,
  inflict: async (world, random) => {
    const what = await withRedis(world, async (redis) => {
      const keys = (await redis.keys('muster:*:c:*')).sort();
      const sorts = [...new Set(keys.map((key) => key.split(':')[3]!.split('/')[0]!))];
      const sort = random.pick(sorts.filter((s) => s !== 'quarantine'));
      const key = random.pick(keys.filter((k) => k.includes(`:c:${sort}/`)));
      const blob = await redis.getBuffer(key);
      if (!blob || blob.length === 0) return undefined;
      const at = random.below(blob.length);
      const byte = Buffer.from([blob[at]! ^ (1 << random.below(8))]);
      await redis.setrange(key, at, byte);
      return `byte ${at} of ${key}`;
    });
    if (what === undefined) return undefined;
    // A running aggregator has no need of it; the next one reads it.
    await world.aggregator.kill();
    return over(what);
  },
};

const noMemory: Fault = {
  kind: 'store out of memory',
  inflict: async (world, random) => {
    const ms = random.between(500, 1_500);
    await withRedis(world, async (redis) => {
      await redis.config('SET', 'maxmemory', '1mb');
      await pause(ms);
      await redis.config('SET', 'maxmemory', '0');
    });
    return over(`for ${ms} ms`);
  },
};

const noDisk: Fault = {
  kind: 'store out of disk',
  inflict: async (world, random) => {
    const ms = random.between(500, 1_500);
    world.redisDisk.fill();
    try {
      await pause(ms);
    } finally {
      world.redisDisk.free();
    }
    return over(`for ${ms} ms`);
  },
};

export const storeFaults: readonly Fault[] = [flush, older, flipped, noMemory, noDisk];
