/** Bounds: replies stay small, long scans give way, and no request whatever makes the core fail. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Rejected } from '../../services/query/answer/rejection.ts';
import { finish, Query } from '../../services/query/query.ts';
import { statusOf } from '../../services/query/status.ts';
import { createAnswer } from '../../services/query/adapters/answer-loop.ts';
import { replyBytesMax, type MethodName, type RequestOf } from '../../services/shared/contract/query.ts';
import type { QueryError } from '../../services/shared/adapters/grpc-client.ts';
import { serve } from './rig.ts';
import { fleetOf, nowMs, observed, runqueue, syscalls, type CountedRow } from './checkpoints.ts';

const blank = {
  metric: '',
  selector: '',
  groupBy: [] as string[],
  range: '',
  startTime: undefined,
  endTime: undefined,
  orderBy: '',
  pageSize: 0,
  pageToken: '',
  step: '',
  quantiles: [] as number[],
  label: '',
  host: '',
};
const windowMs = Math.floor((nowMs - 10_000) / 10_000) * 10_000;

test('a page ends before its reply grows too large', () => {
  const rows = Array.from({ length: 400 }, (_, i): CountedRow => ({
    labels: ['read', `${i}-${'é'.repeat(4000)}`],
    values: [1n],
  }));
  const fleet = fleetOf([{ host: 'a', tables: [{ schema: syscalls, rows }] }]);
  const core = new Query();
  let shown = 0;
  for (let pageToken = ''; ;) {
    const request = { ...blank, range: 'all', pageSize: 1000, pageToken };
    const page = finish(core.answer('Query', request, fleet, nowMs));
    assert.ok(Buffer.byteLength(JSON.stringify(page)) < replyBytesMax);
    assert.equal(shown + page.rows.length + Number(page.residual), 400);
    shown += page.rows.length;
    pageToken = page.nextPageToken;
    if (!pageToken) break;
  }
  assert.equal(shown, 400);
});

test('a long scan gives way, and stops when the caller has gone', async () => {
  const rows = Array.from({ length: 30_000 }, (_, i): CountedRow => ({ labels: ['read', `c${i}`], values: [1n] }));
  const fleet = fleetOf(
    Array.from({ length: 4 }, (_, h) => ({
      host: `h${h}`,
      tables: [{ schema: syscalls, rows, windows: [{ startMs: windowMs, rows }] }],
    })),
  );
  const request = { ...blank, range: 'all' };
  assert.equal(new Query().answer('Query', request, fleet, nowMs).next().done, false);
  const gone = new AbortController();
  let loads = 0;
  const load = async () => (loads++ > 0 && setImmediate(() => gone.abort()), fleet);
  const reader = { load, bytesToRead: () => 0, limits: { scanBytes: 1 } };
  const slow = {
    ...blank,
    kept: () => undefined,
    needOf: () => () => true,
    admit: () => undefined,
    *answer() {
      for (;;) yield;
    },
  };
  const answer = createAnswer(
    slow as never,
    reader as never,
    () => nowMs,
    () => undefined,
  );
  await assert.rejects(answer('Query', request, gone.signal), { name: 'AbortError' });
});

test('a scan of too many rows is refused before it begins, with how many and what would do', () => {
  const windows = [{ startMs: windowMs, rows: [{ labels: ['read', 'x'], values: [1n] }] }];
  const made = ['a', 'b', 'c'].map((host) => ({ host, tables: [{ schema: syscalls, rows: [], windows }] }));
  const fleet = fleetOf(made);
  // What a host of 300 million rows would have.
  const huge = (n: number): void => {
    for (const { tables } of fleet.hosts)
      for (const w of tables.get('syscalls')!.windows) (w.values.increments as { count: number }).count = n;
  };
  huge(300_000_000);
  const why = (request: object): string => {
    try {
      finish(new Query().answer('Query', { ...blank, ...request }, fleet, nowMs));
    } catch (error) {
      return statusOf(error).message;
    }
    return 'answered';
  };
  assert.match(why({}), /900,000,000 rows of 3 hosts.*limit is 500,000,000; select fewer hosts \(about 1 would fit\)/);
  huge(1);
  assert.equal(why({}), 'answered');
});

test('more stored bytes than may be read are refused before any is read', async () => {
  const tight = await serve(undefined, { scanBytes: 1000 });
  const rows = Array.from({ length: 500 }, (_, i): CountedRow => ({ labels: ['read', `c${i}`], values: [1n] }));
  tight.port.commit([{ host: 'a', tables: [{ schema: syscalls, rows, windows: [{ startMs: windowMs, rows }] }] }]);
  const refusal = async (request: object): Promise<QueryError> => {
    tight.port.fetched = [];
    const error = await tight.client.call('Query', request).then(
      () => assert.fail('answered'),
      (e: unknown) => e as QueryError,
    );
    assert.deepEqual([error.status.code, error.status.reason], ['RESOURCE_EXHAUSTED', 'SCAN_TOO_LARGE'], error.message);
    assert.ok(
      tight.port.fetched.every((name) => name.startsWith('host/')),
      tight.port.fetched.join(),
    );
    return error;
  };
  assert.match((await refusal({ range: 'all' })).message, /MiB.*--max-scan is .*; ask for a range such as "5m"/);
  assert.match((await refusal({ range: '5m' })).message, /ask for a shorter range: about \d+s of \d+s would fit/);
  await tight.close();
});

const word = fc.oneof(
  fc.constantFrom(
    '',
    'syscalls',
    'runqueue',
    'comm',
    'host',
    'role',
    'value desc',
    'all',
    '1m',
    '5m',
    '10s',
    'comm="x"',
    'host=~"h.*"',
    '__proto__',
    'constructor',
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
);
const time = fc.option(
  fc.record({
    seconds: fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
      fc.constant(String(Math.floor(nowMs / 1000) - 30)),
    ),
    nanos: fc.integer(),
  }),
  { nil: undefined },
);
const request = fc.record({
  metric: word,
  selector: word,
  groupBy: fc.array(word, { maxLength: 4 }),
  range: word,
  startTime: time,
  endTime: time,
  orderBy: word,
  pageSize: fc.integer(),
  pageToken: word,
  step: word,
  quantiles: fc.array(fc.double(), { maxLength: 3 }),
  label: word,
  host: word,
});
/** Mostly well formed, so that requests get past the planner. */
const mixed = fc
  .tuple(request, fc.subarray(Object.keys(blank)))
  .map(([wild, kept]) => ({ ...blank, ...Object.fromEntries(kept.map((k) => [k, wild[k as keyof typeof wild]])) }));

test('any request is answered or rejected with a reason', () => {
  const fleet = fleetOf([
    {
      host: 'h1',
      labels: { role: 'web' },
      tables: [
        { schema: syscalls, rows: [{ labels: ['read', 'x'], values: [3n] }], overflow: 1n },
        { schema: runqueue, rows: observed('x', [1n, 9n]) },
      ],
    },
    {
      host: 'h2',
      labels: { constructor: 'x' },
      tables: [
        {
          schema: syscalls,
          rows: [],
          windows: [{ startMs: windowMs, rows: [{ labels: ['read', '__proto__'], values: [3n] }] }],
        },
      ],
    },
  ]);
  let answered = 0;
  fc.assert(
    fc.property(
      fc.constantFrom<MethodName>(
        'Query',
        'QueryRange',
        'QueryHistogram',
        'ListMetrics',
        'ListLabelValues',
        'ListHosts',
        'GetHost',
        'GetLedger',
      ),
      mixed,
      (method, wild) => {
        const core = new Query();
        try {
          core.kept(method, wild as never);
          core.needOf(method, wild as unknown as RequestOf<MethodName>, fleet, nowMs);
          finish(core.answer(method, wild as unknown as RequestOf<MethodName>, fleet, nowMs));
          answered++;
        } catch (error) {
          if (!(error instanceof Rejected)) throw error;
        }
      },
    ),
    { numRuns: 1000 },
  );
  assert.ok(answered > 100, `${answered} answered`);
});
