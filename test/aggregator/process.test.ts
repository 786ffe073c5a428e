/** The process itself on real servers: killed, cut off, fenced, stopped; every count stays. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import test, { after, before, describe } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import { createRedisCheckpointStore } from '../../services/shared/adapters/redis-checkpoint-store.ts';
import { batchSubject } from '../../services/shared/contract/subjects.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import type { CheckpointStore } from '../../services/shared/runtime/ports/checkpoint-store.ts';
import { missing, startNats, startRedis, type TestServer, until } from '../contract/servers.ts';
import { epochMs, lifetimeTotals, ModelLineage } from './fixtures.ts';

const skip = missing('nats-server') || missing('redis-server');
const main = join(import.meta.dirname, '../../services/aggregator/main.ts');

interface Running {
  readonly child: ChildProcess;
  out: string;
  err: string;
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
}

function run(...words: string[]): Running {
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...words], {
    stdio: 'pipe',
    env: { ...process.env, MUSTER_STDIN_LIFELINE: '1' },
  });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  );
  const running: Running = { child, out: '', err: '', ended };
  child.stdout!.on('data', (d) => (running.out += String(d)));
  child.stderr!.on('data', (d) => (running.err += String(d)));
  return running;
}

describe('aggregator process', { skip, timeout: 120_000 }, () => {
  let nats: TestServer;
  let redis: TestServer;
  let raw: NatsConnection;
  let store: CheckpointStore;
  const children: Running[] = [];
  const kernel = new ModelLineage({ host: 'live', createdS: Math.floor((Date.now() - epochMs) / 1000) - 1 });

  before(async () => {
    nats = await startNats();
    redis = await startRedis();
    raw = await connect({ servers: nats.address, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    store = createRedisCheckpointStore({ address: redis.address, name: 'test', log: silentLog });
  });
  after(async () => {
    for (const { child } of children) child.kill('SIGKILL');
    await Promise.all(children.map((c) => c.ended));
    await raw?.close();
    await store?.close();
    await redis?.stop();
    await nats?.stop();
  });

  const start = async (): Promise<Running> => {
    const running = run('--nats', nats.address, '--redis', redis.address, '--log-level', 'warn');
    children.push(running);
    await until(() => running.out.includes('\n'), 20_000);
    assert.equal((JSON.parse(running.out) as { ready: string }).ready, 'aggregator');
    return running;
  };
  const send = async (more: Parameters<ModelLineage['message']>[1] = {}): Promise<void> => {
    const { subject, payload } = kernel.message((Date.now() - epochMs) / 1000, more);
    await until(
      () =>
        raw
          .jetstream()
          .publish(subject, payload, { timeout: 500 })
          .then(
            () => true,
            () => false,
          ),
      10_000,
    );
  };
  const total = async (): Promise<bigint | undefined> => {
    const loaded = await store.load(kernel.partition).catch(() => undefined);
    return loaded && lifetimeTotals(loaded.blobs)['live/syscalls/a'];
  };
  const settled = (ms = 10_000): Promise<void> => until(async () => (await total()) === kernel.seen, ms);

  test('a batch is in the checkpoint within a second', async () => {
    await start();
    kernel.count('a', 5);
    const began = performance.now();
    await send();
    await settled();
    assert.ok(performance.now() - began < 1000, `${performance.now() - began} ms`);
  });

  test('garbage stalls nothing', async () => {
    for (const text of ['', 'garbage', '\u0000\u0001']) await raw.jetstream().publish(batchSubject('live'), text);
    kernel.count('a', 1);
    await send({ only: [1] });
    await settled();
  });

  test('killed between a batch and its commit, it is exact again by what the stream kept', async () => {
    const running = children.at(-1)!;
    kernel.count('a', 1);
    await send({ only: [1] });
    running.child.kill('SIGKILL');
    await running.ended;
    kernel.count('a', 1);
    await send({ only: [1] });
    await start();
    await settled(5_000);
  });

  test('with the store killed it holds, says so, and goes on', async () => {
    await redis.kill();
    kernel.count('a', 1);
    await send({ only: [1] });
    await until(() => children.at(-1)!.err.includes('store/unreachable'), 10_000);
    await redis.restart();
    await settled();
  });

  test('with the bus killed it goes on', async () => {
    await nats.restart();
    kernel.count('a', 1);
    await send({ only: [1] });
    await settled(15_000);
  });

  test('on SIGTERM it empties the stream and ends with 0', async () => {
    const running = children.at(-1)!;
    kernel.count('a', 1);
    await send({ only: [1] });
    running.child.kill('SIGTERM');
    assert.deepEqual(await running.ended, { code: 0, signal: null });
    assert.equal(await total(), kernel.seen);
    assert.equal((await (await raw.jetstreamManager()).streams.info('MUSTER')).state.messages, 0);
  });

  test('of two with one name the older one stops, and says why', async () => {
    const first = await start();
    kernel.count('a', 1);
    await send({ only: [1] });
    await settled();
    const second = await start();
    for (let i = 0; first.child.exitCode === null && i < 100; i++) {
      kernel.count('a', 1);
      await send({ only: [1] });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal((await first.ended).code, 1);
    const said = /error: renew the lease\n {2}why: a newer aggregator goes by the same name\n {2}fix: .*--name/;
    assert.match(first.err, said);
    await settled(45_000);
    // Its parent's end is its own.
    second.child.stdin!.end();
    assert.equal((await second.ended).code, 0);
  });

  test('refusals are three lines, bad usage ends with 2', async (t) => {
    const evicting = await startRedis('--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru');
    t.after(() => evicting.stop());
    const unfit = run('--nats', nats.address, '--redis', evicting.address);
    const usage = run('--redys', 'x');
    assert.equal((await unfit.ended).code, 1);
    assert.match(unfit.err, /error: check store\n {2}why: it evicts\n {2}fix: set maxmemory-policy noeviction/);
    assert.equal((await usage.ended).code, 2);
    assert.match(usage.err, /did you mean --redis\?/);
  });
});
