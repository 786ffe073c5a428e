/** Several aggregators on one store: partitions move when one joins, leaves, is killed or falls asleep, and no count does. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Redis } from 'ioredis';
import { connectQuery } from '../../services/shared/adapters/grpc-client.ts';
import { createRedisPartitionLeases } from '../../services/shared/adapters/redis-partition-leases.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { startRole, totalsOf, type Role } from '../bench/fleet/rig.ts';
import { missing, pause, startNats, startRedis, until } from '../contract/servers.ts';

const skip = missing('nats-server') || missing('redis-server');

test('a lease: shares, a silent member, a successor of the same name', { skip, timeout: 60_000 }, async () => {
  const redis = await startRedis();
  const made: { close(): Promise<void> }[] = [];
  const member = (name: string, incarnation: string, lastsMs = 60_000) => {
    const leases = createRedisPartitionLeases({
      address: redis.address,
      name: 'test',
      log: silentLog,
      member: name,
      incarnation,
      lastsMs,
    });
    made.push(leases);
    return leases;
  };
  try {
    const a = member('a', '1');
    const all = await a.renew([]);
    assert.deepEqual([all?.held.length, all?.surplus, all?.members], [64, 0, 1]);
    const b = member('b', '1', 300);
    assert.deepEqual(await b.renew([]), { held: [], surplus: 0, members: 2 });
    assert.equal((await a.renew(all!.held))?.surplus, 32);
    await a.release(all!.held.slice(32));
    assert.deepEqual((await b.renew([]))?.held, all!.held.slice(32));
    // What b holds cannot be freed or taken by a; after b's silence it can.
    await a.release(all!.held.slice(32));
    assert.equal((await a.renew(all!.held))?.held.length, 32);
    await pause(400);
    assert.equal((await a.renew([]))?.held.length, 64);
    // The same name again: at once what the first had, and the first is over.
    const heir = member('a', '2');
    assert.equal((await heir.renew([]))?.held.length, 64);
    assert.equal(await a.renew([]), undefined);
    await a.leave();
    assert.equal((await heir.renew([]))?.held.length, 64);
    await heir.leave();
    assert.equal((await member('c', '1').renew([]))?.members, 1);
  } finally {
    await Promise.all(made.map((m) => m.close()));
    await redis.stop();
  }
});

test('three aggregators: one killed, one asleep, one joining, one leaving', { skip, timeout: 180_000 }, async () => {
  const nats = await startNats();
  const redis = await startRedis();
  const store = new Redis({ host: '127.0.0.1', port: redis.port });
  const roles: Role[] = [];
  const aggregator = async (name: string): Promise<Role> => {
    const words = ['--nats', nats.address, '--redis', redis.address, '--log-level', 'warn', '--name', name];
    const started = await startRole('aggregator', words);
    roles.push(started);
    return started;
  };
  /** Waits until these, and nobody else, hold about as much as each other. */
  const shared = (...names: string[]): Promise<void> =>
    until(async () => {
      const owners = Object.values(await store.hgetall('muster:{leases}:owners'));
      const counts = names.map((name) => owners.filter((o) => o === name).length);
      return counts.reduce((a, b) => a + b, 0) === 64 && counts.every((c) => c <= Math.ceil(64 / names.length));
    }, 40_000);
  try {
    const a = await aggregator('a');
    const words = ['--nats', nats.address, '--hosts', '60', '--rows', '50', '--interval', '250ms'];
    const synth = await startRole('synth', words);
    roles.push(synth);
    const [b, c] = await Promise.all([aggregator('b'), aggregator('c')]);
    await shared('a', 'b', 'c');
    await b.kill();
    await shared('a', 'c');
    a.child.kill('SIGSTOP');
    await shared('c');
    a.child.kill('SIGCONT');
    await shared('a', 'c');
    await aggregator('d');
    await shared('a', 'c', 'd');
    assert.equal(await c.stop(), 0);
    await shared('a', 'd');
    assert.equal(a.child.exitCode, null, 'a lost partitions and lives on');
    synth.child.kill('SIGTERM');
    const known = await totalsOf(synth);

    const query = await startRole('query', [
      '--redis',
      redis.address,
      '--listen',
      '127.0.0.1:0',
      '--log-level',
      'warn',
    ]);
    roles.push(query);
    const client = connectQuery((query.ready['listen'] as string[])[0]!);
    let total = '';
    await until(async () => {
      const answer = await client
        .call('Query', { metric: 'synthetic', range: 'all', pageSize: 1 })
        .catch(() => undefined);
      total = answer?.total ?? '';
      return total === known.total;
    }, 60_000).catch(() => undefined);
    assert.equal(total, known.total);
    client.close();
  } finally {
    store.disconnect();
    await Promise.all(roles.map((r) => (r.child.kill('SIGCONT'), r.kill())));
    await redis.stop();
    await nats.stop();
  }
});
