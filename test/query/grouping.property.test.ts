/** Laws of grouping: rows + residual = total; by host or by anything, the same total; pages agree with the whole. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Distribution } from '../../services/query/answer/distributions.ts';
import { quantileOf } from '../../services/query/answer/query-histogram.ts';
import { Sums } from '../../services/query/answer/sums.ts';
import { Query, finish } from '../../services/query/query.ts';
import { bucketOf } from '../../services/shared/algebra/histogram.ts';
import { setBigInt } from '../../services/shared/algebra/limbs.ts';
import type { QueryRequest, QueryResponse } from '../../services/shared/contract/query.ts';
import type { Fleet } from '../../services/query/checkpoint/fleet.ts';
import { fleetOf, nowMs, syscalls, type HostFill } from './checkpoints.ts';

const blank: QueryRequest = {
  metric: '',
  selector: '',
  groupBy: [],
  range: 'all',
  startTime: undefined,
  endTime: undefined,
  orderBy: '',
  pageSize: 1000,
  pageToken: '',
};
const ask = (core: Query, fleet: Fleet, request: Partial<QueryRequest>): QueryResponse =>
  finish(core.answer('Query', { ...blank, ...request }, fleet, nowMs));
const sum = (answer: QueryResponse): bigint => answer.rows.reduce((n, r) => n + BigInt(r.value), 0n);

const value = fc.oneof(fc.bigInt(1n, 100n), fc.bigInt(1n, 2n ** 55n));
const rows = fc.array(
  fc.record({ syscall: fc.constantFrom('read', 'write', 'open'), comm: fc.constantFrom('a', 'b', 'c', ''), value }),
  { maxLength: 12 },
);
const host = fc.record({
  role: fc.constantFrom('web', 'db'),
  rows,
  overflow: fc.oneof(fc.constant(0n), value),
  folded: fc.boolean(),
});
const fleets = fc.array(host, { minLength: 1, maxLength: 5 }).map((hosts) =>
  hosts.map((h, i): HostFill => ({
    host: `h${i}`,
    labels: { role: h.role },
    tables: [{ schema: syscalls, overflow: h.overflow, folded: h.folded, rows: uniqueRows(h.rows) }],
  })),
);

/** One row a key, as a series has. */
function uniqueRows(given: readonly { syscall: string; comm: string; value: bigint }[]) {
  const found = new Map<string, { labels: string[]; values: bigint[] }>();
  for (const { syscall, comm, value: v } of given) {
    const known = found.get(`${syscall} ${comm}`);
    found.set(`${syscall} ${comm}`, { labels: [syscall, comm], values: [v + (known?.values[0] ?? 0n)] });
  }
  return [...found.values()];
}
const totalOf = (fills: readonly HostFill[]): bigint =>
  fills
    .flatMap((f) => f.tables)
    .reduce((n, t) => n + (t.overflow ?? 0n) + t.rows.reduce((m, r) => m + r.values[0]!, 0n), 0n);
const groupings = fc.subarray(['syscall', 'comm', 'host', 'role']);

test('rows + residual = total, whatever the grouping and selector; and no selector selects everything', () => {
  fc.assert(
    fc.property(
      fleets,
      groupings,
      fc.constantFrom('', 'comm="a"', 'role="web"', 'comm!="a",host=~"h[0-2]"'),
      (fills, groupBy, selector) => {
        const fleet = fleetOf(fills);
        const answer = ask(new Query(), fleet, { groupBy, selector });
        assert.equal(sum(answer) + BigInt(answer.residual), BigInt(answer.total));
        assert.ok(BigInt(answer.residual) >= 0n);
        if (selector === '') assert.equal(BigInt(answer.total), totalOf(fills));
      },
    ),
    { numRuns: 60 },
  );
});

test('the sum over hosts is the total, with no residual', () => {
  fc.assert(
    fc.property(fleets, (fills) => {
      const answer = ask(new Query(), fleetOf(fills), { groupBy: ['host'] });
      assert.equal(sum(answer), totalOf(fills));
      assert.equal(answer.residual, '0');
    }),
    { numRuns: 40 },
  );
});

test('a row is never above its value plus its bound, however hosts are split', () => {
  fc.assert(
    fc.property(fleets, (fills) => {
      const overflow = fills.reduce((n, f) => n + (f.tables[0]!.overflow ?? 0n), 0n);
      for (const r of ask(new Query(), fleetOf(fills), { groupBy: ['comm'] }).rows)
        assert.equal(BigInt(r.errorBound), overflow);
      const byHost = ask(new Query(), fleetOf(fills), { groupBy: ['host', 'comm'] });
      for (const r of byHost.rows)
        assert.equal(BigInt(r.errorBound), fills.find((f) => f.host === r.labels['host'])!.tables[0]!.overflow);
    }),
    { numRuns: 40 },
  );
});

test('pages are the whole, cut', () => {
  fc.assert(
    fc.property(
      fleets,
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom('', 'comm asc', 'hosts', 'value asc'),
      (fills, pageSize, orderBy) => {
        const fleet = fleetOf(fills);
        const groupBy = ['comm', 'host'];
        const whole = ask(new Query(), fleet, { groupBy, orderBy });
        const core = new Query();
        const paged: QueryResponse['rows'] = [];
        let shown = 0n;
        for (let pageToken = ''; ;) {
          // Now from the kept answer, now made again at the same state.
          const request = { ...blank, groupBy, orderBy, pageSize, pageToken };
          const page = (paged.length % 2 ? core.kept('Query', request) : undefined) ?? ask(core, fleet, request);
          paged.push(...page.rows);
          shown += sum(page);
          assert.equal(shown + BigInt(page.residual), BigInt(page.total));
          pageToken = page.nextPageToken;
          if (!pageToken) break;
        }
        assert.deepEqual(paged, whole.rows);
      },
    ),
    { numRuns: 40 },
  );
});

test('a quantile lies in its bounds', () => {
  const values = fc.array(fc.oneof(fc.bigInt(0n, 20n), fc.bigInt(0n, 2n ** 40n)), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (given, quantile) => {
      const sorted = [...given].sort((a, b) => (a < b ? -1 : 1));
      const counts = new Map<number, bigint>();
      for (const v of given) counts.set(bucketOf(v), (counts.get(bucketOf(v)) ?? 0n) + 1n);
      const distribution: Distribution = [...counts].sort(([a], [b]) => a - b);
      // Rounded as the implementation rounds: q to 53 bits, the rank up.
      const rank = (BigInt(Math.round(quantile * 2 ** 53)) * BigInt(given.length) + 2n ** 53n - 1n) >> 53n;
      const exact = sorted[Math.max(0, Number(rank) - 1)]!;
      const q = quantileOf(quantile, distribution)!;
      assert.ok(BigInt(q.lower) <= exact && exact <= BigInt(q.upper));
      assert.ok(Math.abs(q.value - Number(exact)) <= Number(exact) * 0.0625 + 0.5);
    }),
  );
});

test('sums of three limbs are exact', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt(0n, 2n ** 64n - 1n), { maxLength: 50 }), (given) => {
      const sums = new Sums();
      const limbs = new Uint32Array(2);
      for (const v of given) {
        setBigInt(limbs, 0, v);
        sums.add(70, limbs, 0);
      }
      assert.equal(
        sums.at(70),
        given.reduce((n, v) => n + v, 0n),
      );
      assert.equal(sums.isZero(70), sums.at(70) === 0n);
    }),
  );
});
