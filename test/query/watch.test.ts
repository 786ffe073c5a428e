/** Watch over a real channel: first whole, then what changed; shared scans; slow readers; every end and its code. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import { QueryError } from '../../services/shared/adapters/grpc-client.ts';
import { serviceDefinition } from '../../services/shared/adapters/grpc-schema.ts';
import type { WatchRequest, WatchResponse } from '../../services/shared/contract/query.ts';
import { nowMs, syscalls } from './checkpoints.ts';
import { serve, type Rig, type RigOptions } from './rig.ts';

/** Counts by comm; a comm that is left out is zero. */
const commit = (rig: Rig, counts: Readonly<Record<string, bigint>>): void =>
  rig.port.commit([
    {
      host: 'a',
      tables: [
        {
          schema: syscalls,
          rows: Object.entries(counts).map(([comm, n]) => ({ labels: ['read', comm], values: [n] })),
        },
      ],
    },
  ]);
const byComm = { query: { groupBy: ['comm'], range: 'all' }, interval: '250ms' } as unknown as WatchRequest;
const rows = (update: WatchResponse) => update.rows.map((r) => [r.labels['comm'], r.value]);

/** A clock that runs, from the time that the checkpoints are of. */
const began = performance.now();
const now = (): number => Math.round(nowMs + performance.now() - began);
const start = (options: RigOptions = {}): Promise<Rig> => serve(undefined, { now, ...options });

let rig: Rig;
before(async () => void (rig = await start()));
after(() => rig.close());

/** Reads updates as a caller does. */
function reader(request: Partial<WatchRequest> = byComm, options = {}, on: Rig = rig) {
  const updates = on.client.watch(request, options)[Symbol.asyncIterator]();
  return {
    next: async (): Promise<WatchResponse> => (await updates.next()).value as WatchResponse,
    ends: () =>
      updates.next().then(
        (r) => assert.fail(JSON.stringify(r)),
        (error: unknown) => (error instanceof QueryError ? error.status : assert.fail(String(error))),
      ),
    stop: () => updates.return!(undefined),
  };
}

test('first whole, then rows that changed, are new or were removed', async () => {
  commit(rig, { a: 5n, b: 3n, c: 1n });
  const watch = reader();
  const first = await watch.next();
  assert.equal(first.whole, true);
  assert.deepEqual(rows(first), [
    ['a', '5'],
    ['b', '3'],
    ['c', '1'],
  ]);
  assert.deepEqual([first.total, first.residual, first.metric, first.unit], ['9', '0', 'syscalls', 'calls']);
  assert.ok(first.coverage!.seconds > 0);
  commit(rig, { a: 5n, b: 4n, d: 2n });
  const second = await watch.next();
  assert.equal(second.whole, false);
  assert.deepEqual(rows(second), [
    ['b', '4'],
    ['d', '2'],
  ]);
  assert.deepEqual(second.removed, [{ labels: { comm: 'c' } }]);
  assert.equal(second.total, '11');
  await watch.stop();
});

test('a row that leaves the page is removed, and its count is in the residual', async () => {
  commit(rig, { a: 5n, b: 3n });
  const watch = reader({ ...byComm, query: { ...byComm.query!, pageSize: 1 } });
  assert.deepEqual(rows(await watch.next()), [['a', '5']]);
  commit(rig, { a: 5n, b: 7n });
  const next = await watch.next();
  assert.deepEqual(rows(next), [['b', '7']]);
  assert.deepEqual(next.removed, [{ labels: { comm: 'a' } }]);
  assert.deepEqual([next.total, next.residual], ['12', '5']);
  await watch.stop();
});

test('streams that ask the same share one answer; the last one to go ends the topic', async () => {
  const own = await start();
  let scans = 0;
  const { source } = own.watch as unknown as { source: { answer: (...a: unknown[]) => Promise<unknown> } };
  const answer = source.answer;
  source.answer = (...a) => (scans++, answer(...a));
  commit(own, { a: 1n });
  const watches = Array.from({ length: 50 }, () => reader(byComm, {}, own));
  await Promise.all(watches.map((w) => w.next()));
  assert.equal(scans, 1);
  assert.equal([...own.watch.watches.topics].length, 1);
  commit(own, { a: 2n });
  const updates = await Promise.all(watches.map((w) => w.next()));
  assert.equal(scans, 2);
  assert.ok(updates.every((u) => !u.whole && u.rows[0]!.value === '2'));
  await Promise.all(watches.map((w) => w.stop()));
  for (let i = 0; i < 100 && own.watch.streams > 0; i++) await sleep(20);
  assert.deepEqual([own.watch.streams, [...own.watch.watches.topics].length], [0, 0]);
  await own.close();
});

test('a slow reader gets fewer updates and a whole one, and nothing is kept for it', async () => {
  const own = await start();
  const wide = (round: number) =>
    Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`comm-${i}-${'x'.repeat(200)}`, BigInt(1 + i + round)]));
  commit(own, wide(0));
  // By hand over HTTP/2: a client library would take messages off the wire for its caller.
  const { path, requestSerialize, responseDeserialize } = serviceDefinition('muster.v1.QueryService')[
    'Watch'
  ] as MethodDefinition<object, WatchResponse>;
  const session = connect(`http://${own.address}`);
  const call = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const body = requestSerialize({ query: { groupBy: ['comm'], range: 'all', pageSize: 1000 }, interval: '250ms' });
  const header = Buffer.alloc(5);
  header.writeUInt32BE(body.length, 1);
  call.end(Buffer.concat([header, body]));
  await once(call, 'response');
  const quick = reader(byComm, {}, own);
  await quick.next();
  const rounds = 8;
  for (let round = 1; round <= rounds; round++) {
    commit(own, wide(round));
    await quick.next();
  }
  await quick.stop();
  const got: WatchResponse[] = [];
  let bytes = Buffer.alloc(0);
  call
    .on('error', () => undefined)
    .on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (
        let size = 0;
        bytes.length >= 5 && bytes.length >= (size = 5 + bytes.readUInt32BE(1));
        bytes = bytes.subarray(size)
      )
        got.push(responseDeserialize(bytes.subarray(5, size)));
    });
  const last = () => got.at(-1)?.rows.find((r) => r.labels['comm']!.startsWith('comm-0-'))?.value;
  for (let i = 0; i < 500 && last() !== String(1 + rounds); i++) await sleep(20);
  assert.equal(last(), String(1 + rounds));
  assert.deepEqual(
    got.map((u) => u.whole),
    [true, true],
    'one that was on the way, one of what is now',
  );
  session.destroy();
  await own.close();
});

test('it ends with the right code: deadline, cancel, store away, stop', async () => {
  const own = await start();
  commit(own, { a: 1n });
  const late = reader(byComm, { deadlineMs: 300 }, own);
  await late.next();
  assert.equal((await late.ends()).code, 'DEADLINE_EXCEEDED');
  const stop = new AbortController();
  const gone = reader(byComm, { signal: stop.signal }, own);
  await gone.next();
  stop.abort();
  assert.equal((await gone.ends()).code, 'CANCELLED');
  for (let i = 0; i < 100 && own.watch.streams > 0; i++) await sleep(20);
  assert.equal(own.watch.streams, 0);

  const away = reader(byComm, {}, own);
  await away.next();
  own.port.away = true;
  const status = await away.ends();
  assert.deepEqual([status.code, status.reason, status.retryAfterMs], ['UNAVAILABLE', 'STORE_UNREACHABLE', 1000]);
  own.port.away = false;

  const stopped = reader(byComm, {}, own);
  await stopped.next();
  const [ended] = await Promise.all([stopped.ends(), own.close()]);
  assert.deepEqual([ended.code, ended.reason, ended.retryAfterMs], ['UNAVAILABLE', 'STOPPING', 1000]);
});

test('a watch that makes no sense is refused, and so is one too many', async () => {
  const code = async (request: object, on: Rig = rig) => {
    const { code, reason, message } = await reader(request as WatchRequest, {}, on).ends();
    return [code, reason, message] as const;
  };
  assert.deepEqual((await code({ interval: '10ms' })).slice(0, 2), ['INVALID_ARGUMENT', 'BAD_INTERVAL']);
  assert.deepEqual((await code({ query: { pageToken: 'x' } })).slice(0, 2), [
    'INVALID_ARGUMENT',
    'BAD_QUERY.PAGE_TOKEN',
  ]);
  assert.deepEqual((await code({ query: { metric: 'sycalls' } })).slice(0, 2), ['NOT_FOUND', 'UNKNOWN_METRIC']);
  const options: RigOptions = { limits: { watches: 3, watchesPerCaller: 2, watchRows: 2 } };
  const small = await start(options);
  commit(small, { a: 1n, b: 2n });
  const held = [reader(byComm, {}, small), reader(byComm, {}, small)];
  await Promise.all(held.map((w) => w.next()));
  const [, reason, message] = await code(byComm, small);
  assert.equal(reason, 'TOO_MANY');
  assert.match(message, /--max-watches-per-caller is 2/);
  await held[1]!.stop();
  for (let i = 0; i < 100 && small.watch.streams > 1; i++) await sleep(20);
  // Another question, whose rows would not fit beside those kept.
  assert.match(
    (await code({ query: { groupBy: ['syscall', 'comm'], range: 'all' } }, small))[2],
    /--max-watch-rows is 2/,
  );
  await held[0]!.stop();
  await small.close();
});

test('it says that it lives while nothing changes, and ends at the age of a connection', async () => {
  let later = 0;
  const own = await start({ limits: { connectionAgeMs: 1500 }, now: () => now() + later });
  commit(own, { a: 1n });
  const watch = reader(byComm, {}, own);
  await watch.next();
  later = 6000;
  const quiet = await watch.next();
  assert.deepEqual([quiet.whole, quiet.rows, quiet.removed], [false, [], []]);
  const ended = await watch.ends();
  assert.deepEqual([ended.code, ended.reason], ['UNAVAILABLE', 'CONNECTION_AGE']);
  await own.close();
});

test('streams of health count against the same limit, and free their place', async (t) => {
  const rig = await serve(undefined, { limits: { watchesPerCaller: 2 } });
  t.after(() => rig.close());
  const client = new Client(rig.address, credentials.createInsecure());
  t.after(() => client.close());
  const open = () => {
    const as = (b: Buffer): Buffer => b;
    const call = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', as, as, Buffer.alloc(0));
    const first = new Promise<string>((resolve) => {
      call.once('data', () => resolve('answered'));
      call.on('error', (error: ServiceError) => resolve(error.details));
    });
    return { call, first };
  };
  const held = [open(), open()];
  assert.deepEqual(await Promise.all(held.map((h) => h.first)), ['answered', 'answered']);
  assert.match(await open().first, /--max-watches-per-caller is 2/);
  held[0]!.call.cancel();
  const deadline = performance.now() + 20_000;
  while ((await open().first) !== 'answered') assert.ok(performance.now() < deadline);
});
