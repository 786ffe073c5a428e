/** Servers of `muster up` that run and do not answer: noticed, started again, and nothing is lost meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askServer } from '../../services/cli/adapters/ask-server.ts';
import { missing, startRedis } from '../contract/servers.ts';
import { NatsServer } from '../contract/nats-server.ts';
import { cannotRun, freePort, Instance, load, until } from './instance.ts';

test('a server is asked, and says why it is taken for silent', { skip: missing('nats-server') }, async (t) => {
  const [nats, bare, redis] = await Promise.all([
    NatsServer.start(),
    NatsServer.start({ jetstream: false }),
    startRedis(),
  ]);
  t.after(() => Promise.all([nats.stop(), bare.stop(), redis.stop()]));
  assert.deepEqual(await askServer('nats', nats.port, 10_000), { answered: true });
  assert.deepEqual(await askServer('redis', redis.port, 10_000), { answered: true });
  const without = await askServer('nats', bare.port, 2_000);
  assert.deepEqual(without, { answered: false, reason: 'JetStream is not available' });
  const nobody = await askServer('redis', await freePort(), 2_000);
  assert.ok(!nobody.answered && /ECONNREFUSED/.test(nobody.reason));
});

test('servers that hang are started again, and the count stays exact', { skip: cannotRun }, async () => {
  const up = await Instance.start(['--probes', 'syscalls']);
  try {
    const before = up.pids();
    await load('--calls', '50000', '--comm', 'hang-before');
    for (const server of ['nats', 'redis'] as const) process.kill(before[server], 'SIGSTOP');
    await load('--calls', '50000', '--comm', 'hang-during');
    await until(
      'both are started again',
      () => ['nats', 'redis'].every((server) => up.stderr.includes(`${server} is ready again`)),
      90_000,
    );
    for (const server of ['nats', 'redis'] as const) {
      assert.match(up.stderr, new RegExp(`killing ${server}: no answer for \\d+ s \\(no `));
      assert.notEqual(up.pids()[server], before[server]);
    }
    for (const comm of ['hang-before', 'hang-during'])
      await up.expectTotal(
        { metric: 'syscalls', selector: `comm="${comm}",syscall="getppid"`, range: 'all' },
        50_000,
        60_000,
      );
    assert.equal((up.stderr.match(/killing /g) ?? []).length, 2, up.stderr);
  } finally {
    await up.discard();
  }
});
