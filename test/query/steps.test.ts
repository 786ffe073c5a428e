/** Steps shorter than a window: of metrics that are kept by second, and of no others. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { valuesBySecond } from '../../services/shared/contract/seconds.ts';
import { ask, rejectionOf, row } from './ask.ts';
import { fleetOf, nowMs, syscalls, type CountedRow, type HostFill } from './checkpoints.ts';

const profile = { ...syscalls, name: 'profile', unit: 'ns', valueCount: valuesBySecond };
const secondOf = (ms: number): number => Math.floor(ms / 1000);
const windowMs = nowMs - (nowMs % 10_000);

/** A row of a window: by second of it. */
const bySecond = (syscall: string, comm: string, seconds: Readonly<Record<number, bigint>>): CountedRow => {
  const ten = Array.from({ length: 10 }, (_, s) => seconds[s] ?? 0n);
  return { labels: [syscall, comm], values: [ten.reduce((a, b) => a + b, 0n), ...ten] };
};

const web: HostFill = {
  host: 'web-1',
  tables: [
    {
      schema: profile,
      rows: [bySecond('read', 'nginx', { 0: 90n })],
      windows: [
        {
          startMs: windowMs - 10_000,
          rows: [bySecond('read', 'nginx', { 7: 5n, 9: 7n }), bySecond('write', 'sh', { 9: 1n })],
          overflow: 3n,
          overflowSecond: 8,
        },
        { startMs: windowMs, rows: [bySecond('read', 'nginx', { 1: 2n, 3: 4n })], undivided: 2n },
      ],
    },
    { schema: syscalls, rows: [row('read', 'nginx', 9n)] },
  ],
};
const asked = { metric: 'profile', groupBy: ['comm'], range: '15s' };

/** What is not zero, by seconds before this window. */
const points = (found: readonly { time?: { seconds: string } | undefined; value: string }[]): Record<number, string> =>
  Object.fromEntries(
    found.filter((p) => p.value !== '0').map((p) => [Number(p.time!.seconds) - secondOf(windowMs), p.value]),
  );

test('one step a second: each point holds what fell into it, and all add up to the windows', () => {
  const answer = ask(fleetOf([web]), 'QueryRange', { ...asked, step: '1s' });
  assert.deepEqual(answer.step, { seconds: '1', nanos: 0 });
  assert.deepEqual(
    answer.series.map((s) => [s.labels['comm'], points(s.points)]),
    [
      ['nginx', { [-3]: '5', [-1]: '7', 1: '2', 3: '4' }],
      ['sh', { [-1]: '1' }],
    ],
  );
  assert.deepEqual(points(answer.residual), { [-2]: '3' }, 'the overflow too has its second');
  assert.deepEqual(points(answer.total), { [-3]: '5', [-2]: '3', [-1]: '8', 1: '2', 3: '4' });
  assert.equal(answer.series[0]!.points.find((p) => p.value === '7')!.ratePerSecond, 7);
  const last = Number(answer.total.at(-1)!.time!.seconds);
  assert.equal(last, secondOf(nowMs), 'no point lies ahead');
  assert.ok(
    answer.notes.some((n) => n.startsWith('2 ns of 22 could not be told by second')),
    answer.notes.join('\n'),
  );
});

test('longer steps are the sums of shorter ones, whether windows fit into them or not', () => {
  const fleet = fleetOf([web]);
  const one = points(ask(fleet, 'QueryRange', { ...asked, step: '1s' }).total);
  for (const length of [2, 3, 5, 15]) {
    const sums: Record<number, bigint> = {};
    for (const [at, value] of Object.entries(one)) {
      const start = Math.floor((Number(at) + secondOf(windowMs)) / length) * length - secondOf(windowMs);
      sums[start] = (sums[start] ?? 0n) + BigInt(value);
    }
    const found = points(ask(fleet, 'QueryRange', { ...asked, step: `${length}s` }).total);
    assert.deepEqual(found, Object.fromEntries(Object.entries(sums).map(([at, n]) => [at, String(n)])), `${length}s`);
  }
  const ten = ask(fleet, 'QueryRange', { ...asked, step: '10s' });
  assert.deepEqual(points(ten.total), { [-10]: '16', 0: '6' });
  assert.ok(!ten.notes.some((n) => n.includes('told by second')));
  assert.equal(ask(fleet, 'Query', { ...asked }).total, '22');
});

test('other metrics have windows of ten seconds: a shorter step is refused with the one that would do', () => {
  const fleet = fleetOf([web]);
  const refused = rejectionOf(() => ask(fleet, 'QueryRange', { metric: 'syscalls', range: '1m', step: '1s' }));
  assert.ok(
    refused.kind === 'bad-field' && refused.field === 'step' && refused.fix.includes('10s'),
    JSON.stringify(refused),
  );
  const finer = rejectionOf(() => ask(fleet, 'QueryRange', { ...asked, step: '500ms' }));
  assert.ok(finer.kind === 'bad-field' && finer.fix.includes('1s'), JSON.stringify(finer));
});

test('a host that does not keep it by second yet is in every sum, and said to be undated', () => {
  const older: HostFill = {
    host: 'web-0',
    createdMs: nowMs - 700_000,
    tables: [
      {
        schema: { ...profile, valueCount: 1 },
        rows: [row('read', 'nginx', 8n)],
        windows: [{ startMs: windowMs - 10_000, rows: [row('read', 'nginx', 8n)] }],
      },
    ],
  };
  const fleet = fleetOf([web, older]);
  assert.equal(ask(fleet, 'Query', { ...asked }).total, '30');
  const answer = ask(fleet, 'QueryRange', { ...asked, step: '1s' });
  assert.equal(points(answer.total)[-10], '8', 'at the beginning of its window');
  assert.ok(
    answer.notes.some((n) => n.startsWith('10 ns of 30 could not be told by second')),
    answer.notes.join('\n'),
  );
});
