/** QueryHistogram with a step: each step's buckets, which add up to the whole's, group by group. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Rejected } from '../../services/query/answer/rejection.ts';
import { finish, Query } from '../../services/query/query.ts';
import type { QueryHistogramRequest } from '../../services/shared/contract/query.ts';
import { fleetOf, nowMs, observed, runqueue } from './checkpoints.ts';

const blank: QueryHistogramRequest = {
  metric: '',
  selector: '',
  groupBy: ['comm'],
  range: '1m',
  startTime: undefined,
  endTime: undefined,
  quantiles: [0.5],
  orderBy: '',
  pageSize: 0,
  pageToken: '',
  step: '10s',
};
const lastMs = Math.floor(nowMs / 10_000) * 10_000;
/** Values by window back from now, by comm. */
const fleet = (windows: readonly Readonly<Record<string, readonly bigint[]>>[]) =>
  fleetOf([
    {
      host: 'a',
      tables: [
        {
          schema: runqueue,
          rows: Object.entries(windows.reduce((all, w) => ({ ...all, ...w }), {})).flatMap(([comm]) =>
            observed(comm, [...new Set(windows.flatMap((w) => w[comm] ?? []))]),
          ),
          windows: windows.map((w, back) => ({
            startMs: lastMs - back * 10_000,
            rows: Object.entries(w).flatMap(([comm, values]) => observed(comm, values)),
          })),
        },
      ],
    },
  ]);
const ask = (windows: Parameters<typeof fleet>[0], more: Partial<QueryHistogramRequest> = {}) =>
  finish(new Query().answer('QueryHistogram', { ...blank, ...more }, fleet(windows), nowMs));

test('one point a step, from the first to the last', () => {
  const { rows, step, overall } = ask([{ x: [1n, 1n, 900n] }, {}, { x: [5n], y: [7n] }]);
  assert.deepEqual(step, { seconds: '10', nanos: 0 });
  const x = rows.find((r) => r.labels['comm'] === 'x')!;
  assert.equal(x.points.length, 7, 'the minute before now touches seven windows');
  const at = (back: number) => x.points.find((p) => Number(p.time!.seconds) * 1000 === lastMs - back * 10_000)!;
  assert.deepEqual([at(0).count, at(1).count, at(2).count], ['3', '0', '1']);
  assert.deepEqual([at(0).quantiles[0]!.value, at(1).quantiles, at(1).buckets], [1, [], []]);
  assert.deepEqual(
    overall!.points.map((p) => p.count).filter((n) => n !== '0'),
    ['2', '3'],
  );
});

test('the buckets of all steps add up to those of the whole', () => {
  const windows = fc.array(
    fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.array(fc.bigInt({ min: 0n, max: 5000n }), { maxLength: 5 })),
    { minLength: 1, maxLength: 6 },
  );
  fc.assert(
    fc.property(windows, fc.constantFrom('10s', '20s', '30s'), (w, step) => {
      const { rows, overall } = ask(w, { step });
      for (const row of [...rows, overall!]) {
        const sums = new Map<string, bigint>();
        for (const { buckets } of row.points)
          for (const b of buckets) sums.set(b.lower, (sums.get(b.lower) ?? 0n) + BigInt(b.count));
        assert.deepEqual(
          [...sums].sort(([a], [b]) => Number(a) - Number(b)),
          row.buckets.map((b) => [b.lower, BigInt(b.count)]),
        );
        assert.equal(
          row.points.reduce((n, p) => n + BigInt(p.count), 0n),
          BigInt(row.count),
        );
      }
    }),
    { numRuns: 50 },
  );
});

test('the sum of a large grouping gives way often, and is what a count of the observations is', () => {
  const comms = 6000;
  const value = (back: number, i: number): bigint => BigInt((i % 11) + back);
  const windows = Array.from({ length: 6 }, (_, back) =>
    Object.fromEntries(Array.from({ length: comms }, (__, i) => [`c${i}`, [value(back, i)]])),
  );
  const answer = new Query().answer('QueryHistogram', { ...blank, pageSize: 1 }, fleet(windows), nowMs);
  let turns = 0;
  let step = answer.next();
  for (; !step.done; step = answer.next()) turns++;
  // The cells are passed over twice; the scan itself gives way every 65,536 rows.
  assert.ok(turns >= 4, `${turns} turns`);
  const { overall, rows } = step.value;
  assert.equal(rows.length, 1);
  assert.equal(overall!.count, String(comms * windows.length));
  for (const [back] of windows.entries()) {
    const point = overall!.points.find((p) => Number(p.time!.seconds) * 1000 === lastMs - back * 10_000)!;
    // Below 16 a bucket is one value.
    const expected = new Map<string, number>();
    for (let i = 0; i < comms; i++) {
      const bucket = String(value(back, i));
      expected.set(bucket, (expected.get(bucket) ?? 0) + 1);
    }
    const found = point.buckets.map((b) => [b.lower, Number(b.count)] as const);
    assert.deepEqual(
      found,
      [...expected].sort(([a], [b]) => Number(a) - Number(b)),
    );
  }
});

test('steps that are too many, no multiple of a window, or of no time are refused', () => {
  const refusal = (more: Partial<QueryHistogramRequest>) => {
    try {
      return ask([{ x: [1n] }], more).metric;
    } catch (error) {
      return error instanceof Rejected ? error.rejection.kind : String(error);
    }
  };
  assert.equal(refusal({ range: '1h' }), 'too-large');
  assert.equal(refusal({ step: '15s' }), 'bad-field');
  assert.equal(refusal({ range: 'all' }), 'bad-field');
  assert.equal(refusal({ step: '', range: 'all' }), 'runqueue');
});
