import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ask, row } from './ask.ts';
import { fleetOf, nowMs, observed, runqueue, syscalls } from './checkpoints.ts';

const windowMs = Math.floor((nowMs - 10_000) / 10_000) * 10_000;

const web = (n: number, more: object = {}) => ({
  host: `web-${n}`,
  labels: { role: 'web' },
  tables: [
    {
      schema: syscalls,
      rows: [row('getppid', 'gen', 5_000_000n), row('read', 'nginx', 10n)],
      windows: [{ startMs: windowMs, rows: [row('getppid', 'gen', 400n)] }],
    },
  ],
  ...more,
});

test('an exact count, by selector and by host, lifetime and windows', () => {
  const fleet = fleetOf([web(1), web(2)]);
  const all = ask(fleet, 'Query', {
    metric: 'syscalls',
    selector: 'comm="gen",syscall="getppid",host="web-1"',
    range: 'all',
  });
  assert.equal(all.total, '5000000');
  assert.equal(all.rows[0]!.value, '5000000');
  assert.equal(all.coverage!.exact, true);
  const hosts = ask(fleet, 'Query', { metric: 'syscalls', groupBy: ['host'], range: 'all' });
  assert.deepEqual(
    hosts.rows.map((r) => [r.labels['host'], r.value]),
    [
      ['web-1', '5000010'],
      ['web-2', '5000010'],
    ],
  );
  const minute = ask(fleet, 'Query');
  assert.equal(minute.total, '800');
  assert.equal(minute.metric, 'syscalls');
  assert.equal(minute.coverage!.exact, true);
  assert.match(minute.notes.at(-1)!, /next: \{"metric":"syscalls"/);
  assert.equal(minute.rows[0]!.hosts, 2);
});

test('overflow is in the total, in no labelled row, and bounds every row', () => {
  const fleet = fleetOf([{ host: 'a', tables: [{ schema: syscalls, rows: [row('read', 'x', 7n)], overflow: 3n }] }]);
  const all = ask(fleet, 'Query', { range: 'all' });
  assert.equal(all.total, '10');
  assert.equal(all.residual, '3');
  assert.equal(all.totalErrorBound, '0');
  assert.equal(all.rows[0]!.errorBound, '3');
  assert.equal(all.coverage!.exact, false);
  assert.equal(all.coverage!.ledger!.overflow, '3');
  const byHost = ask(fleet, 'Query', { range: 'all', groupBy: ['host'] });
  assert.deepEqual(
    [byHost.rows[0]!.value, byHost.rows[0]!.errorBound, byHost.residual, byHost.coverage!.exact],
    ['10', '0', '0', true],
  );
  const selected = ask(fleet, 'Query', { range: 'all', selector: 'comm="x"' });
  assert.deepEqual([selected.total, selected.totalErrorBound], ['7', '3']);
});

test('counters stay exact past 2^53 and say when they pass int64', () => {
  const big = 2n ** 60n + 1n;
  const fleet = fleetOf(
    ['a', 'b'].map((host) => ({ host, tables: [{ schema: syscalls, rows: [row('read', 'x', big)] }] })),
  );
  assert.equal(ask(fleet, 'Query', { range: 'all' }).total, (2n * big).toString());
  const over = fleetOf(
    ['a', 'b'].map((host) => ({ host, tables: [{ schema: syscalls, rows: [row('read', 'x', 2n ** 63n)] }] })),
  );
  const answer = ask(over, 'Query', { range: 'all' });
  assert.equal(answer.total, (2n ** 63n - 1n).toString());
  assert.ok(answer.notes.some((n) => n.includes((2n ** 64n).toString())));
});

test('what was lost with a store is said, and bounds the rows', () => {
  const fleet = fleetOf([
    { host: 'a', tables: [{ schema: syscalls, rows: [row('read', 'x', 7n)], folded: true, lost: 5n }] },
  ]);
  const answer = ask(fleet, 'Query', { range: 'all' });
  assert.deepEqual(
    [answer.coverage!.exact, answer.coverage!.ledger!.lost, answer.rows[0]!.errorBound, answer.totalErrorBound],
    [false, '5', '5', '5'],
  );
  assert.equal(ask(fleet, 'GetLedger').rows[0]!.balanced, true);
});

test('stale hosts, an absent aggregator, unknown spans and skips are named', () => {
  const unknown = [
    {
      startWallNs: BigInt(nowMs - 20_000) * 1_000_000n,
      endWallNs: BigInt(nowMs - 10_000) * 1_000_000n,
      reason: 'reboot',
      probe: '',
    },
  ];
  const fleet = fleetOf(
    [
      web(1, { mergedMs: nowMs - 9000, readMs: nowMs - 9200 }),
      web(2, { unknown }),
      web(3, { skipped: 4n }),
      web(4, { skipped: undefined }),
    ],
    nowMs - 60_000,
  );
  const answer = ask(fleet, 'Query', { range: 'all' });
  const c = answer.coverage!;
  assert.deepEqual(
    [c.hostsMatched, c.hostsReporting, c.staleHosts, c.complete, c.exact],
    [4, 3, ['web-1'], false, false],
  );
  assert.deepEqual([c.ledger!.skipped, c.ledger!.skipsUnknown], ['4', true]);
  assert.deepEqual(
    c.unknown.map((u) => [u.host, u.reason]),
    [['web-2', 'reboot']],
  );
  assert.ok(answer.notes.some((n) => /^not all is known of web-2 from 2026-01-31T11:59:45Z to .*: reboot$/.test(n)));
  assert.ok(answer.notes.some((n) => /aggregator is away.* 60 s old/.test(n)));
  assert.equal(ask(fleet, 'GetHost', { host: 'web-1' }).host!.state, 'stale');
  assert.equal(ask(fleet, 'ListHosts').totalSize, 4);
});

test('points in time add up to the total of each step', () => {
  const rows = [0, 1, 2, 3].map((i) => ({
    startMs: windowMs - i * 10_000,
    rows: [row('read', 'x', BigInt(i + 1)), row('write', 'y', 10n)],
    overflow: 1n,
  }));
  const fleet = fleetOf([{ host: 'a', tables: [{ schema: syscalls, rows: [], windows: rows }] }]);
  const answer = ask(fleet, 'QueryRange', { range: '1m', step: '20s', pageSize: 1 });
  const sum = (of: { value: string }[]): bigint => of.reduce((n, p) => n + BigInt(p.value), 0n);
  assert.equal(sum(answer.total), 1n + 2n + 3n + 4n + 40n + 4n);
  answer.total.forEach((t, i) =>
    assert.equal(BigInt(t.value), BigInt(answer.series[0]!.points[i]!.value) + BigInt(answer.residual[i]!.value)),
  );
  assert.equal(answer.series[0]!.labels['syscall'], 'write');
});

test('a histogram: count, sum, quantiles within bounds, buckets', () => {
  const values = Array.from({ length: 1000 }, (_, i) => BigInt(i * i));
  const fleet = fleetOf(
    ['a', 'b'].map((host) => ({ host, tables: [{ schema: runqueue, rows: observed('x', values) }] })),
  );
  const answer = ask(fleet, 'QueryHistogram', { range: 'all', quantiles: [0, 0.5, 0.99, 1] });
  assert.equal(answer.metric, 'runqueue');
  assert.deepEqual(
    [answer.rows[0]!.count, answer.rows[0]!.sum],
    ['2000', (2n * values.reduce((n, v) => n + v, 0n)).toString()],
  );
  assert.deepEqual(answer.overall!.count, '2000');
  for (const q of answer.rows[0]!.quantiles) {
    const exact = values[Math.max(0, Math.ceil(q.quantile * 1000) - 1)]!;
    assert.ok(
      BigInt(q.lower) <= exact && exact <= BigInt(q.upper),
      `${q.quantile}: ${q.lower} ≤ ${exact} ≤ ${q.upper}`,
    );
  }
  assert.equal(ask(fleet, 'Query', { metric: 'runqueue', range: 'all' }).total, '2000');
});

test('lists: metrics, label values, hosts; an empty fleet says what to do', () => {
  const fleet = fleetOf([web(1), web(2, { labels: { role: 'db', zone: 'a' } })]);
  assert.deepEqual(
    ask(fleet, 'ListMetrics').metrics.map((m) => [m.name, m.kind, m.unit, m.hosts]),
    [['syscalls', 'counter', 'calls', 2]],
  );
  assert.deepEqual(ask(fleet, 'ListLabelValues', { label: 'comm' }).values, [
    { value: 'gen', hosts: 2 },
    { value: 'nginx', hosts: 2 },
  ]);
  assert.deepEqual(ask(fleet, 'ListLabelValues', { label: 'role' }).values, [
    { value: 'db', hosts: 1 },
    { value: 'web', hosts: 1 },
  ]);
  assert.deepEqual(ask(fleet, 'ListLabelValues', { label: 'host', selector: 'zone="a"' }).values, [
    { value: 'web-2', hosts: 1 },
  ]);
  assert.deepEqual(
    ask(fleet, 'ListHosts', { selector: 'role="db"' }).hosts.map((h) => h.host),
    ['web-2'],
  );
  assert.deepEqual(
    ask(fleet, 'Query', { groupBy: ['zone'], range: 'all' }).rows.map((r) => r.labels['zone']),
    ['', 'a'],
  );
  const empty = fleetOf([]);
  for (const method of ['Query', 'QueryRange', 'QueryHistogram', 'ListMetrics', 'ListHosts', 'GetLedger'] as const) {
    assert.ok(
      ask(empty, method).notes.some((n) => n.includes('no host')),
      method,
    );
  }
});

const waits = fleetOf([
  { host: 'web-1', labels: { role: 'web' }, tables: [{ schema: runqueue, rows: observed('nginx', [1000n]) }] },
]);

test('a selector that no host matches is said so, whatever is asked', () => {
  const fleet = fleetOf([web(1)]);
  for (const method of ['Query', 'QueryRange', 'QueryHistogram', 'ListHosts', 'GetLedger'] as const) {
    const notes = ask(method === 'QueryHistogram' ? waits : fleet, method, { selector: 'role="db"' }).notes;
    assert.ok(
      notes.some((n) => n.startsWith('no host matches the selector')),
      `${method}: ${notes.join('; ')}`,
    );
  }
});

test('messages that were refused are named beside the hosts, and with the ledger', () => {
  const fleet = fleetOf([web(1, { refused: 3n }), web(2)]);
  const said = ["web-1: 3 messages were refused and set aside; why: the aggregator's log"];
  assert.deepEqual(ask(fleet, 'ListHosts').notes, said);
  assert.deepEqual(ask(fleet, 'GetLedger').notes, said);
  assert.deepEqual(ask(fleet, 'ListHosts', { selector: 'host="web-2"' }).notes, []);
});

test('a probe whose programs were detached has ended, and since when', () => {
  const [host] = ask(fleetOf([web(1, { detachedMs: nowMs - 4000 })]), 'ListHosts').hosts;
  assert.deepEqual(
    host!.probes.map((p) => [p.state, p.reason]),
    [['ended', 'nothing counts here since 2026-01-31T12:00:01Z: its programs were detached']],
  );
});

test('failed is that of the range', () => {
  const table = {
    schema: syscalls,
    rows: [row('read', 'a', 10n)],
    overflow: 9n,
    windows: [{ startMs: windowMs, rows: [row('read', 'a', 4n)], overflow: 2n }],
  };
  const fleet = fleetOf([web(1, { tables: [table] })]);
  const failed = (range: string): string => ask(fleet, 'Query', { metric: 'syscalls', range }).coverage!.ledger!.failed;
  assert.equal(failed('all'), '9');
  assert.equal(failed('1m'), '2');
});

test('a static label may have any name, and is absent where it is absent', () => {
  const fleet = fleetOf([web(1, { labels: { constructor: 'x' } }), web(2, { labels: {} })]);
  const byLabel = ask(fleet, 'Query', { groupBy: ['constructor'], range: 'all' });
  assert.deepEqual(byLabel.rows.map((r) => r.labels['constructor']).sort(), ['', 'x']);
  assert.equal(ask(fleet, 'Query', { selector: 'constructor=""', range: 'all' }).coverage!.hostsMatched, 1);
});

test('rows that joined the overflow at the aggregator are told apart from those of a full table', () => {
  const tables = [{ schema: syscalls, rows: [row('read', 'nginx', 10n)], overflow: 5n }];
  const notes = (limitedRows: Record<string, bigint>): string =>
    ask(fleetOf([{ host: 'a', tables, limitedRows }]), 'Query', { metric: 'syscalls', range: 'all' }).notes.join('\n');
  assert.match(notes({ syscalls: 3n }), /3 rows of syscalls have joined the overflow: .* --series-per-host/);
  assert.doesNotMatch(notes({ syscalls: 3n }), /--rows/);
  assert.match(notes({ other: 3n }), /--rows syscalls=N/);
});
