/**
 * Answers while labels are sampled: events picked as bpf/row.h picks them, so that the truth is known. Totals are exact,
 * what no row holds is the residual, and each row's truth lies within its bound.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { nothingSampled, type Sampled } from '../../services/shared/algebra/sampling.ts';
import type { MethodName, RequestOf } from '../../services/shared/contract/query.ts';
import { Profile } from '../../services/shared/contract/profile.ts';
import { flameSvg } from '../../services/cli/output/flame-svg.ts';
import { foldedText } from '../../services/cli/verbs/flame.ts';
import { ask, row } from './ask.ts';
import { fleetOf, nowMs, observed, runqueue, syscalls, type HostFill, type TableFill } from './checkpoints.ts';
import { FakeReader } from './fake-reader.ts';
import { FleetReader } from '../../services/query/fleet-reader.ts';
import { Query } from '../../services/query/query.ts';
import { stacks } from './sketch-rows.ts';

const first = Math.floor((nowMs - 40_000) / 10_000) * 10_000;
/** Calls of each comm in each window on each host, as they happened. */
const truth = { web: 4000n, db: 700n, cron: 9n } as const;
type Comm = keyof typeof truth;
const comms = Object.keys(truth) as Comm[];
const all = comms.reduce((n, c) => n + truth[c], 0n);

/** What the rows get of a window when one call in `weight` is picked; `seed` says which. */
function picked(weight: bigint, seed: number): { rows: Map<Comm, bigint>; sampled: Sampled } {
  let state = seed;
  const next = (n: number): number => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) % n;
  const calls = comms.flatMap((c) => Array.from({ length: Number(truth[c]) }, () => c));
  for (let i = calls.length - 1; i > 0; i--) {
    const j = next(i + 1);
    [calls[i], calls[j]] = [calls[j]!, calls[i]!];
  }
  const rows = new Map<Comm, bigint>();
  let given = 0n;
  for (let block = 0; block < calls.length; block += Number(weight)) {
    const comm = calls[block + next(Number(weight))];
    if (comm === undefined) continue;
    rows.set(comm, (rows.get(comm) ?? 0n) + weight);
    given += weight;
  }
  return { rows, sampled: { ...nothingSampled, seen: all, given, weightMax: weight } };
}

/** Two windows: the first as it was, the second sampled. */
function host(name: string, weight: bigint, seed: number, schema = syscalls): { fill: HostFill; sampled: Sampled } {
  const { rows, sampled } = picked(weight, seed);
  const rowsOf = (values: Iterable<readonly [Comm, bigint]>) => [...values].map(([c, v]) => labelled(schema, c, v));
  const whole = comms.map((c) => [c, truth[c]] as const);
  const both = comms.map((c) => [c, truth[c] + (rows.get(c) ?? 0n)] as const);
  const table: TableFill = {
    schema,
    rows: rowsOf(both),
    sampled,
    windows: [
      { startMs: first, rows: rowsOf(whole) },
      { startMs: first + 10_000, rows: rowsOf(rows), sampled },
    ],
  };
  return { fill: { host: name, createdMs: first - 100_000, tables: [table] }, sampled };
}
const labelled = (schema: typeof syscalls, comm: Comm, value: bigint) =>
  schema === stacks ? { labels: ['x', comm], values: [value] } : row('read', comm, value);

const total = 4n * all;
const sum = (values: readonly string[]): bigint => values.reduce((n, v) => n + BigInt(v), 0n);
const distance = (a: bigint, b: bigint): bigint => (a > b ? a - b : b - a);

for (const weight of [2n, 16n, 256n]) {
  const hosts = [host('a', weight, 1), host('b', weight, 2)];
  const fleet = fleetOf(hosts.map((h) => h.fill));
  const pending = hosts.reduce((n, { sampled }) => n + sampled.seen - sampled.given, 0n);
  const windows = { startTime: { seconds: String(first / 1000), nanos: 0 } };

  for (const range of [{ range: 'all' }, windows]) {
    test(`one call in ${weight} picked, ${'range' in range ? 'lifetime' : 'windows'}: totals are exact, rows lie within their bounds`, () => {
      const byComm = ask(fleet, 'Query', { ...range, groupBy: ['comm'] });
      assert.equal(byComm.total, String(total));
      assert.equal(byComm.residual, String(pending));
      assert.equal(sum(byComm.rows.map((r) => r.value)) + pending, total);
      for (const r of byComm.rows) {
        const real = 4n * truth[r.labels['comm'] as Comm];
        assert.ok(
          distance(BigInt(r.value), real) <= BigInt(r.errorBound),
          `${r.labels['comm']}: ${r.value} ± ${r.errorBound}, really ${real}`,
        );
        assert.ok(r.errorBound !== '0');
      }
      const { coverage } = byComm;
      assert.deepEqual(
        [coverage!.sampled, coverage!.samplingFactor, coverage!.exact, byComm.totalErrorBound],
        [true, String(weight), false, '0'],
      );
      assert.equal(coverage!.ledger!.pending, String(pending));
      assert.equal(coverage!.ledger!.sampled, String(2n * all));
      assert.ok(byComm.notes.some((n) => n.includes('were counted while labels were sampled')));

      // A host's calls are all counted, whatever their labels.
      const byHost = ask(fleet, 'Query', { ...range, groupBy: ['host'] });
      assert.deepEqual(
        byHost.rows.map((r) => [r.value, r.errorBound]),
        [
          [String(total / 2n), '0'],
          [String(total / 2n), '0'],
        ],
      );
      assert.deepEqual([byHost.residual, byHost.coverage!.exact], ['0', true]);

      // What a selector picks has a total that is as sure as its rows.
      const cron = ask(fleet, 'Query', { ...range, selector: 'comm="cron"', groupBy: ['host'] });
      assert.ok(distance(BigInt(cron.total), 4n * truth.cron) <= BigInt(cron.totalErrorBound));
      assert.equal(cron.coverage!.exact, false);
      // Nothing of it may have been picked: then the answer is a bound, and no exact zero.
      const none = ask(fleet, 'Query', { ...range, selector: 'comm="nothing"' });
      assert.deepEqual([none.total, none.rows, none.coverage!.exact], ['0', [], false]);
      assert.ok(BigInt(none.totalErrorBound) > 0n);
    });
  }

  test(`one call in ${weight} picked: points of a range add up, and a selection that no row is in is not exact`, () => {
    const reply = ask(fleet, 'QueryRange', { ...windows, step: '10s', groupBy: ['comm'] });
    const points = reply.total.map((p) => BigInt(p.value));
    assert.equal(
      points.reduce((n, p) => n + p, 0n),
      total,
    );
    assert.deepEqual(points.slice(0, 2), [2n * all, 2n * all]);
    assert.equal(sum(reply.residual.map((p) => p.value)), pending);
    assert.deepEqual(
      reply.series.map((s) => s.errorBound !== '0'),
      reply.series.map(() => true),
    );
    const byHost = ask(fleet, 'QueryRange', { ...windows, step: '10s', groupBy: ['host'] });
    for (const s of byHost.series)
      assert.deepEqual(
        s.points.slice(0, 2).map((p) => p.value),
        [String(all), String(all)],
      );
    const none = ask(fleet, 'QueryRange', { ...windows, selector: 'comm="nothing"' });
    assert.deepEqual([none.series, none.coverage!.exact], [[], false]);
  });

  test(`one call in ${weight} picked: windows that were added up answer as they do one by one`, async () => {
    const port = new FakeReader();
    for (const { fill } of hosts) port.commit([fill]);
    const reader = new FleetReader(port, () => nowMs);
    const core = new Query();
    const request = { ...windows, groupBy: ['comm'], metric: 'syscalls' };
    const asked = {
      selector: '',
      range: '',
      endTime: undefined,
      orderBy: '',
      pageSize: 0,
      pageToken: '',
      ...request,
    } as RequestOf<'Query'>;
    const need = core.needOf('Query' satisfies MethodName, asked, await reader.load(), nowMs);
    assert.ok(need.windowsSummed);
    const [summed, apart] = [ask(await reader.load(need), 'Query', request), ask(fleet, 'Query', request)];
    assert.deepEqual([summed.total, summed.residual], [apart.total, apart.residual]);
    assert.deepEqual(
      summed.rows.map((r) => [r.labels['comm'], r.value]),
      apart.rows.map((r) => [r.labels['comm'], r.value]),
    );
    // A sum knows one weight for all of it: its bound is no tighter.
    for (const [i, r] of summed.rows.entries()) assert.ok(BigInt(r.errorBound) >= BigInt(apart.rows[i]!.errorBound));
  });
}

test('stacks that were sampled: rows and residual are the total, a tree and a profile hold it all', () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const { fill, sampled } = host('a', 256n, seed, stacks);
    const fleet = fleetOf([fill]);
    const pending = sampled.seen - sampled.given;
    const nothing = { format: '', baseline: undefined, range: 'all' };
    const folded = ask(fleet, 'QueryStacks', nothing);
    assert.deepEqual([folded.total, folded.residual], [String(2n * all), String(pending)]);
    assert.equal(sum(folded.rows.map((r) => r.value)) + pending, 2n * all);
    for (const r of folded.rows)
      assert.ok(distance(BigInt(r.value), 2n * truth[r.stack as Comm]) <= BigInt(r.errorBound));
    const tree = ask(fleet, 'QueryStacks', { ...nothing, format: 'tree' });
    assert.deepEqual([tree.total, tree.residual], [folded.total, folded.residual]);
    assert.equal(tree.nodes[0]!.value, tree.total, `pending ${pending}`);
    const { pprof } = ask(fleet, 'QueryStacks', { ...nothing, format: 'pprof' });
    const samples = Profile.decode(pprof).sample.flatMap((s) => s.value);
    assert.equal(
      samples.reduce((n, v) => n + BigInt(v), 0n),
      2n * all,
    );
    const lines = foldedText(folded).trim().split('\n');
    assert.ok(lines.every((l) => /^\S.* \d+$/.test(l)));
    assert.doesNotMatch(flameSvg({ nodes: tree.nodes, title: '', unit: 'ns' }), /="-|NaN/);
  }
});

test('a distribution that was sampled: its sum is exact, and a selection that no row is in is not', () => {
  const rows = observed('web', [100n, 100n, 3000n]);
  const sampled: Sampled = { seen: 5n, given: 3n, sumSeen: 3400n, sumGiven: 3200n, weightMax: 2n };
  const fleet = fleetOf([
    { host: 'a', tables: [{ schema: runqueue, rows, sampled, windows: [{ startMs: first, rows, sampled }] }] },
  ]);
  for (const range of ['1m', 'all']) {
    const reply = ask(fleet, 'QueryHistogram', { metric: 'runqueue', range });
    assert.deepEqual([reply.total, reply.residual, reply.overall!.sum], ['5', '2', '3400']);
    assert.ok(BigInt(reply.rows[0]!.errorBound) > 0n);
    assert.deepEqual([reply.coverage!.sampled, reply.coverage!.exact], [true, false]);
    const none = ask(fleet, 'QueryHistogram', { metric: 'runqueue', range, selector: 'comm="nothing"' });
    assert.deepEqual([none.total, none.coverage!.exact], ['0', false]);
  }
});

test('a host of which no call was picked yet is a row of its own all the same', () => {
  const sampled: Sampled = { ...nothingSampled, seen: 5n, given: 0n, weightMax: 256n };
  const names = Array.from({ length: 300 }, (_, i) => `h${i}`);
  const fleet = fleetOf(
    names.map((host) => ({
      host,
      tables: [{ schema: syscalls, rows: [], windows: [{ startMs: first, rows: [], sampled }] }],
    })),
  );
  const reply = ask(fleet, 'Query', { groupBy: ['host'], pageSize: 1000 });
  assert.equal(reply.total, String(5 * names.length));
  assert.deepEqual(
    reply.rows.map((r) => [r.value, r.hosts]),
    names.map(() => ['5', 1]),
  );
});
