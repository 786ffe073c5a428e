/** Port CheckpointStore: the contract on the fake and on Redis, and what only a real connection can do wrong. */
import assert from 'node:assert/strict';
import test, { after, before, describe } from 'node:test';
import { Redis } from 'ioredis';
import { createRedisCheckpointReader } from '../../services/shared/adapters/redis-checkpoint-reader.ts';
import { createRedisCheckpointStore } from '../../services/shared/adapters/redis-checkpoint-store.ts';
import { partitionKeys } from '../../services/shared/adapters/redis-scripts.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import type { CheckpointStore } from '../../services/shared/runtime/ports/checkpoint-store.ts';
import {
  createFakeCheckpointReader,
  createFakeCheckpointStore,
  damageIn,
} from '../simulation/fake-checkpoint-store.ts';
import { bytes, checkpointStoreContract, headOf, request } from './checkpoint-store-suite.ts';
import { missing, type Proxy, startProxy, startRedis, type TestServer, until } from './servers.ts';

const skip = missing('redis-server');
const options = (address: string, more = {}): Parameters<typeof createRedisCheckpointStore>[0] => ({
  address,
  name: 'test',
  log: silentLog,
  ...more,
});

const isCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof MusterError && error.code === code;

checkpointStoreContract(
  'fake',
  () => {
    const store = createFakeCheckpointStore();
    return Promise.resolve({
      store,
      reader: createFakeCheckpointReader(store.sim),
      damage: (partition, name) => {
        damageIn(store.sim, partition, name);
        return Promise.resolve();
      },
      end: () => Promise.resolve(),
    });
  },
  false,
);

checkpointStoreContract(
  'redis',
  async () => {
    const server = await startRedis();
    const raw = new Redis(server.port, '127.0.0.1');
    const store = createRedisCheckpointStore(options(server.address));
    const reader = createRedisCheckpointReader(options(server.address));
    await until(async () => (await store.load(60).catch(() => null)) === undefined);
    await until(async () => (await reader.view(60).catch(() => null)) === undefined);
    return {
      store,
      reader,
      damage: async (partition, name) => {
        const key = partitionKeys(partition).current(name);
        const blob = (await raw.getBuffer(key))!;
        blob[0]! ^= 1;
        await raw.set(key, blob);
      },
      end: async () => {
        await Promise.all([store.close(), reader.close()]);
        raw.disconnect();
        await server.stop();
      },
    };
  },
  skip,
);

describe('redis: replies lost, refusals', { skip }, () => {
  let server: TestServer;
  let proxy: Proxy;
  let store: CheckpointStore;
  let raw: Redis;
  before(async () => {
    server = await startRedis();
    proxy = await startProxy(server.port);
    raw = new Redis(server.port, '127.0.0.1');
    store = createRedisCheckpointStore(options(proxy.address, { answerMs: 1000 }));
    await until(async () => (await store.load(1).catch(() => null)) === undefined);
  });
  after(async () => {
    await store?.close();
    raw?.disconnect();
    await proxy?.close();
    await server?.stop();
  });

  test('a commit whose reply is lost is found by reading, and took place once', async () => {
    await store.commit(request(1, 1n, 'c1', { a: 'one' }));
    await raw.call('CONFIG', 'RESETSTAT');
    proxy.loseReplyTo = 'muster:{p1}:head';
    const outcome = store.commit(request(1, 2n, 'c2', { a: 'two' }));
    await until(() => proxy.broken > 0);
    proxy.loseReplyTo = undefined;
    assert.deepEqual(await outcome, { kind: 'committed' });
    const calls = /cmdstat_eval:calls=(\d+)/.exec(await raw.info('commandstats'))?.[1];
    assert.equal(calls, '1', 'the script ran once');
    assert.equal((await store.load(1))!.head.commitId, 'c2');
  });

  test('a commit that never arrived is an error that may be tried again, and succeeds then', async () => {
    await store.commit(request(2, 1n, 'c1', { a: 'one' }));
    const before = proxy.broken;
    proxy.loseRequest = 'muster:{p2}:head';
    const failed = store.commit(request(2, 2n, 'c2', { a: 'two' }));
    await until(() => proxy.broken > before);
    proxy.loseRequest = undefined;
    await assert.rejects(failed, isCode('store/unreachable'));
    assert.deepEqual(await store.commit(request(2, 2n, 'c2b', { a: 'two' })), { kind: 'committed' });
  });

  test('an answer that does not come in time, with the store down, is unreachable and no more', async () => {
    proxy.down = true;
    await assert.rejects(store.commit(request(3, 1n, 'c1', { a: 'one' })), isCode('store/unreachable'));
    proxy.down = false;
    await until(
      async () =>
        (await store.commit(request(3, 1n, 'c1', { a: 'one' })).catch(() => ({ kind: '' }))).kind === 'committed',
    );
  });

  test('keeps what one commit can undo, and no more', async () => {
    for (let v = 1n; v <= 5n; v++)
      await store.commit(request(4, v, `c${v}`, { [`blob${v % 2n}`]: `${v}`, all: `${v}` }));
    const keys = (await raw.keys('muster:{p4}:*')).sort();
    assert.deepEqual(
      keys,
      ['c:all', 'c:blob0', 'c:blob1', 'head', 'names', 'p:all', 'p:blob1'].map((k) => `muster:{p4}:${k}`),
    );
  });

  test('a damaged head of the newest commit brings back the one before it', async () => {
    await store.commit(request(5, 1n, 'c1', { a: 'one' }));
    await store.commit(request(5, 2n, 'c2', { a: 'two' }));
    await raw.hset('muster:{p5}:head', 'head', 'rubbish');
    const loaded = await store.load(5);
    assert.equal(loaded!.fellBack, true);
    assert.deepEqual(loaded!.head, { ...headOf(1n, 'c1'), head: Buffer.from(headOf(1n, 'c1').head) });
    assert.deepEqual(Buffer.from(loaded!.blobs.get('a')!), Buffer.from(bytes('one')));
  });

  test('a newer format is refused by store and reader', async () => {
    const next = { version: 1n, commitId: 'c1', head: Uint8Array.of(0x08, 99) };
    await store.commit({ partition: 6, expected: undefined, next, put: new Map(), drop: [] });
    await assert.rejects(store.load(6), isCode('store/newer-format'));
    const reader = createRedisCheckpointReader(options(server.address));
    await until(async () => (await reader.heads([7]).catch(() => undefined)) !== undefined);
    await assert.rejects(reader.view(6), isCode('store/newer-format'));
    await reader.close();
  });

  test('a full store, an evicting one, and a refused password are told apart', async () => {
    await raw.config('SET', 'maxmemory', '1');
    await assert.rejects(store.commit(request(8, 1n, 'c1', { a: 'one' })), isCode('store/full'));
    await raw.config('SET', 'maxmemory', '0');
    await raw.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await assert.rejects(store.verify(), isCode('store/unfit'));
    await raw.config('SET', 'maxmemory-policy', 'noeviction');
    await store.verify();
    await raw.config('SET', 'requirepass', 'secret');
    const refused = createRedisCheckpointStore(options(server.address, { password: 'wrong', answerMs: 1000 }));
    await assert.rejects(refused.verify(), isCode('store/refused'));
    await refused.close();
    const allowed = createRedisCheckpointStore(options(server.address, { password: 'secret' }));
    await allowed.verify();
    await allowed.close();
  });
});
