/** The server over a real channel: answers, errors with details, health, limits, cancellation, addresses. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import { connectQuery, QueryError } from '../../services/shared/adapters/grpc-client.ts';
import { serviceDefinition } from '../../services/shared/adapters/grpc-schema.ts';
import { protoJson } from '../../services/shared/contract/proto-json.ts';
import type { MusterError } from '../../services/shared/runtime/errors.ts';
import { nowMs, syscalls } from './checkpoints.ts';
import { serve, type Rig } from './rig.ts';

const windowMs = Math.floor((nowMs - 10_000) / 10_000) * 10_000;
const counted = (value: bigint) => [{ labels: ['getppid', 'gen'], values: [value] }];
let rig: Rig;
before(async () => {
  rig = await serve();
  rig.port.commit([
    {
      host: 'a',
      tables: [
        { schema: syscalls, rows: counted(2n ** 53n + 1n), windows: [{ startMs: windowMs, rows: counted(7n) }] },
      ],
    },
  ]);
});
after(() => rig.close());

const refused = (promise: Promise<unknown>): Promise<QueryError> =>
  promise.then(
    () => assert.fail('answered'),
    (error: unknown) => (error instanceof QueryError ? error : assert.fail(String(error))),
  );

function health(address: string, service = ''): Promise<string> {
  const client = new Client(address, credentials.createInsecure());
  const check = serviceDefinition('grpc.health.v1.Health')['Check'] as MethodDefinition<object, { status: string }>;
  return new Promise((resolve, reject) =>
    client.makeUnaryRequest(
      check.path,
      check.requestSerialize,
      check.responseDeserialize,
      { service },
      (error, reply) => {
        client.close();
        if (error) reject(error);
        else resolve(reply!.status);
      },
    ),
  );
}

test('an empty request answers; counters are exact past 2^53; times are times', async () => {
  const minute = await rig.client.call('Query', {});
  assert.equal(minute.rows[0]!.value, '7');
  const all = await rig.client.call('Query', { range: 'all', selector: 'comm="gen"' });
  assert.equal(all.total, (2n ** 53n + 1n).toString());
  const json = protoJson(all) as { coverage: { startTime: string }; rows: { labels: object }[] };
  assert.match(json.coverage.startTime, /^2026-01-31T11:50:05Z$/);
  assert.deepEqual(json.rows[0]!.labels, { syscall: 'getppid', comm: 'gen' });
  const start = { seconds: String(windowMs / 1000), nanos: 0 };
  assert.equal((await rig.client.call('Query', { startTime: start })).total, '7');
  assert.equal((protoJson(await rig.client.call('QueryRange', {})) as { step: string }).step, '10s');
});

test('every method answers an empty request or says what is missing', async () => {
  for (const method of [
    'Query',
    'QueryRange',
    'ListMetrics',
    'ListLabelValues',
    'ListHosts',
    'GetHost',
    'GetLedger',
  ] as const)
    await rig.client.call(method, {});
  assert.equal((await rig.client.call('QueryHistogram', {})).rows.length, 0);
});

test('errors carry code, fix and details', async () => {
  const error = await refused(rig.client.call('Query', { selector: 'comm=gen' }));
  assert.deepEqual([error.status.code, error.exitCode, error.status.reason], ['INVALID_ARGUMENT', 67, 'BAD_SELECTOR']);
  assert.deepEqual(
    error.status.violations.map((v) => v.field),
    ['selector'],
  );
  assert.equal(error.threeLines.split('\n').length, 3);
});

test('the store away: UNAVAILABLE, and when to try again', async () => {
  rig.port.away = true;
  const error = await refused(rig.client.call('Query', {}));
  rig.port.away = false;
  assert.deepEqual([error.status.code, error.status.retryAfterMs], ['UNAVAILABLE', 1000]);
  assert.match(error.status.message, /start redis-server/);
  await rig.client.call('Query', {});
});

test('health follows the store', async () => {
  assert.equal(await health(rig.address), 'NOT_SERVING');
  rig.server.setServing(true);
  assert.equal(await health(rig.address, 'muster.v1.QueryService'), 'SERVING');
  await assert.rejects(health(rig.address, 'no.such.Service'), { code: 5 });
});

test('a request beyond the limit, a deadline and a caller who goes', async () => {
  const large = await refused(rig.client.call('Query', { selector: `comm="${'x'.repeat(300 * 1024)}"` }));
  assert.equal(large.status.code, 'RESOURCE_EXHAUSTED');
  const blobs = rig.port.blobs.bind(rig.port);
  rig.port.commit([{ host: 'a', tables: [{ schema: syscalls, rows: counted(1n) }] }]);
  rig.port.blobs = async (...asked) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return blobs(...asked);
  };
  const late = await refused(rig.client.call('Query', {}, { deadlineMs: 50 }));
  assert.equal(late.status.code, 'DEADLINE_EXCEEDED');
  const gone = await refused(rig.client.call('Query', {}, { signal: AbortSignal.timeout(20) }));
  assert.equal(gone.status.code, 'CANCELLED');
  rig.port.blobs = blobs;
  assert.deepEqual(rig.failures, []);
});

test('a failure of ours is INTERNAL, logged, and tells nothing', async () => {
  const failing = await serve(undefined, { answer: () => Promise.reject(new TypeError('secret')) });
  const error = await refused(failing.client.call('Query', {}));
  assert.equal(error.status.code, 'INTERNAL');
  assert.ok(!error.message.includes('secret'));
  assert.equal(failing.failures.length, 1);
  await failing.close();
});

test('an address in use is said in three lines; nobody there is said too', async () => {
  const error = await serve([rig.address]).then(
    () => assert.fail('listens twice'),
    (e: unknown) => e as MusterError,
  );
  assert.equal(error.code, 'config/address-in-use');
  assert.match(error.threeLines, /choose another --listen address$/);
  const nobody = connectQuery('127.0.0.1:1');
  await assert.rejects(nobody.call('Query', {}, { deadlineMs: 2000 }), { code: 'query/unreachable' });
  nobody.close();
});

test('a Unix socket, also one left behind by a crash', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-query-'));
  const path = `unix:${join(folder, 'query.sock')}`;
  const first = await serve([path]);
  await first.client.call('ListMetrics', {});
  const again = await serve([path]).then(
    () => assert.fail('listens twice'),
    (e: unknown) => e as MusterError,
  );
  assert.equal(again.code, 'config/address-in-use');
  await first.close();
  const crashed = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', crashed, join(folder, 'query.sock')]);
  assert.ok(existsSync(join(folder, 'query.sock')));
  const second = await serve([path]);
  await second.client.call('ListMetrics', {});
  await second.close();
  rmSync(folder, { recursive: true });
});

test('a host that is gone is forgotten: off the lists, its counts stay; it comes back by itself', async () => {
  const own = await serve(undefined, { limits: { goneAfterMs: 86_400_000 } });
  const fill = (host: string, mergedMs: number) => ({
    host,
    mergedMs,
    tables: [{ schema: syscalls, rows: counted(5n) }],
  });
  own.port.commit([fill('here', nowMs - 200), fill('left', nowMs - 60_000), fill('ages-ago', nowMs - 2 * 86_400_000)]);
  const listed = async (more = {}) => (await own.client.call('ListHosts', more)).hosts.map((h) => [h.host, h.state]);
  assert.deepEqual(await listed(), [
    ['here', 'reporting'],
    ['left', 'stale'],
  ]);
  const refusedFor = async (host: string) => (await refused(own.client.call('ForgetHost', { host }))).status;
  assert.deepEqual(
    [(await refusedFor('here')).code, (await refusedFor('here')).reason],
    ['FAILED_PRECONDITION', 'STILL_REPORTING'],
  );
  assert.equal((await refusedFor('lift')).metadata['suggestion'], 'left');
  assert.equal((await own.client.call('ForgetHost', { host: 'left' })).host!.state, 'gone');
  assert.deepEqual(await listed(), [['here', 'reporting']]);
  assert.deepEqual(await listed({ includeGone: true }), [
    ['ages-ago', 'gone'],
    ['here', 'reporting'],
    ['left', 'gone'],
  ]);
  const all = await own.client.call('Query', { range: 'all' });
  assert.deepEqual([all.total, all.coverage!.hostsMatched, all.coverage!.complete], ['15', 1, true]);
  assert.match(all.notes.join(), /2 hosts are gone/);
  own.port.commit([fill('left', nowMs - 100)]);
  assert.deepEqual(await listed(), [
    ['here', 'reporting'],
    ['left', 'reporting'],
  ]);
  // What came back, and what no checkpoint has any more, leaves no mark behind the next one.
  own.port.marks.set('never-there', nowMs);
  own.port.commit([fill('lost', nowMs - 60_000)]);
  await own.client.call('ForgetHost', { host: 'lost' });
  assert.deepEqual([...own.port.marks.keys()], ['lost']);
  await own.close();
});
