/** Answers from sketches: distinct counts, heavy hitters with bounds, and which hosts' filters know a value. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Query, finish } from '../../services/query/query.ts';
import { Rejected } from '../../services/query/answer/rejection.ts';
import { keyOf } from '../../services/query/answer/key-of.ts';
import { filterHashes } from '../../services/shared/algebra/filter.ts';
import type { TableSchema } from '../../services/shared/contract/lineage.ts';
import type { MethodName, RequestOf, ResponseOf } from '../../services/shared/contract/query.ts';
import { decodersOf, decodeLabels } from '../../services/agent/labels/decoders.ts';
import { fleetOf, nowMs, type CountedRow, type HostFill } from './checkpoints.ts';
import { binaries, firsts, firstsOn, label, pairs, sizes } from './sketch-rows.ts';

const talkers: TableSchema = {
  ...sizes,
  name: 'talkers',
  kind: 'heavy',
  unit: 'bytes',
  rows: 8192,
  keyWords: 3,
  valueCount: 1,
  labels: [label('peer', 'ipv4', 0), label('port', 'port', 8), label('cell', 'cell', 16)],
};
const sent = {
  metric: '',
  selector: '',
  groupBy: [] as string[],
  range: 'all',
  startTime: undefined,
  endTime: undefined,
  orderBy: '',
  pageSize: 0,
  pageToken: '',
};

function ask<M extends MethodName>(method: M, request: object, hosts: readonly HostFill[]): ResponseOf<M> {
  const full = { ...(method === 'Contains' ? {} : sent), pageSize: 0, pageToken: '', selector: '', ...request };
  return finish(new Query().answer(method, full as unknown as RequestOf<M>, fleetOf(hosts), nowMs));
}

const span = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

test('what two hosts have in common counts once overall, and in each host’s row', () => {
  const hosts = [
    { host: 'a', tables: [{ schema: binaries, rows: pairs('sh', span(0, 300)) }] },
    { host: 'b', tables: [{ schema: binaries, rows: pairs('sh', span(100, 300)), folded: true }] },
  ];
  const answer = ask('QueryDistinct', { metric: 'process_binaries', groupBy: ['host'], orderBy: 'host asc' }, hosts);
  assert.deepEqual(
    answer.rows.map((r) => [r.labels['host'], r.observations, r.hosts]),
    [
      ['a', '300', 1],
      ['b', '300', 1],
    ],
  );
  for (const row of answer.rows) assert.ok(Number(row.lower) <= 300 && 300 <= Number(row.upper), JSON.stringify(row));
  const overall = answer.overall!;
  assert.ok(Number(overall.lower) <= 400 && 400 <= Number(overall.upper), JSON.stringify(overall));
  assert.ok(Number(overall.upper) < 460);
  assert.equal(answer.coverage!.exact, false);
  assert.equal(answer.unit, 'binaries');
});

test('a window holds the different values of that window; what lost its labels widens the bound upwards', () => {
  const startMs = Math.floor((nowMs - 20_000) / 10_000) * 10_000;
  const rows = pairs('sh', span(0, 1000));
  const windows = [{ startMs, rows: pairs('sh', span(0, 50)), overflow: 9n }];
  const hosts = [{ host: 'a', tables: [{ schema: binaries, rows, windows }] }];
  const recent = ask('QueryDistinct', { metric: 'process_binaries', range: '1m' }, hosts).rows[0]!;
  assert.ok(Number(recent.lower) <= 50 && 50 <= Number(recent.value) + 3, JSON.stringify(recent));
  assert.ok(Number(recent.upper) >= 50 + 9 && Number(recent.upper) < 80);
  assert.ok(Number(ask('QueryDistinct', { metric: 'process_binaries' }, hosts).rows[0]!.value) > 800);
});

test('Query of a distinct count counts observations, and says where the values are', () => {
  const hosts = [{ host: 'a', tables: [{ schema: binaries, rows: pairs('sh', [1, 1, 2]) }] }];
  const answer = ask('Query', { metric: 'process_binaries' }, hosts);
  assert.deepEqual([answer.total, answer.unit], ['3', 'observations']);
  assert.ok(answer.notes.some((n) => n.includes('QueryDistinct')));
});

const own = (peer: string, port: string, cell: number, n: bigint): CountedRow => ({
  labels: [peer, port, String(cell * 2)],
  values: [n],
});
const shared = (cell: number, n: bigint): CountedRow => ({
  labels: ['0.0.0.0', '0', String(cell * 2 + 1)],
  values: [n],
});

const talking: HostFill[] = [
  { host: 'a', tables: [{ schema: talkers, rows: [own('192.0.2.1', '443', 5, 900n), shared(5, 7n), shared(6, 20n)] }] },
  { host: 'b', tables: [{ schema: talkers, rows: [own('192.0.2.2', '80', 6, 500n), shared(5, 3n)], overflow: 2n }] },
];

test('a heavy hitter’s bound is what its cell holds on all hosts, and totals hold everything', () => {
  const answer = ask('Query', { metric: 'talkers' }, talking);
  assert.deepEqual(
    answer.rows.map((r) => [r.labels['peer'], r.value, r.errorBound]),
    [
      // Its cell's 7 + 3, and the 2 that lost their labels.
      ['192.0.2.1', '900', '12'],
      ['192.0.2.2', '500', '22'],
    ],
  );
  assert.deepEqual([answer.total, answer.residual, answer.totalErrorBound], ['1432', '32', '0']);
  assert.equal(answer.coverage!.exact, false);
  assert.ok(answer.notes.some((n) => n.startsWith('30 bytes are of keys too small')));
});

test('grouped by fewer labels, a heavy hitter may lack what any cell holds; by host nothing', () => {
  const byPort = ask('Query', { metric: 'talkers', groupBy: ['port'] }, talking);
  assert.deepEqual(
    byPort.rows.map((r) => [r.labels['port'], r.value, r.errorBound]),
    [
      ['443', '900', '32'],
      ['80', '500', '32'],
    ],
  );
  const byHost = ask('Query', { metric: 'talkers', groupBy: ['host'] }, talking);
  assert.deepEqual(
    byHost.rows.map((r) => [r.labels['host'], r.value, r.errorBound]),
    [
      ['a', '927', '0'],
      ['b', '505', '0'],
    ],
  );
  assert.equal(byHost.coverage!.exact, true);
  const both = ask('Query', { metric: 'talkers', groupBy: ['host', 'peer', 'port'] }, talking);
  assert.deepEqual(
    both.rows.map((r) => [r.labels['host'], r.value, r.errorBound]),
    [
      ['a', '900', '7'],
      ['b', '500', '2'],
    ],
  );
  const selected = ask('Query', { metric: 'talkers', selector: 'port="443"' }, talking);
  assert.deepEqual([selected.total, selected.totalErrorBound], ['900', '32']);
});

test('shared rows are no values of labels', () => {
  const values = ask('ListLabelValues', { metric: 'talkers', label: 'peer' }, talking).values;
  assert.deepEqual(
    values.map((v) => v.value),
    ['192.0.2.1', '192.0.2.2'],
  );
});

test('a filter names the hosts that have seen a value: certainly where a row says so', () => {
  const hosts = [
    firstsOn('a', ['/usr/bin/nc', '/bin/sh']),
    firstsOn('b', ['/bin/sh', '/usr/bin/nc'], ['/bin/sh']),
    firstsOn('c', ['/bin/sh']),
  ];
  const answer = ask('Contains', { metric: 'first_execs', labels: { binary: '/usr/bin/nc' } }, hosts);
  assert.deepEqual(
    answer.hosts.map((h) => [h.host, h.certain]),
    [
      ['a', true],
      ['b', false],
    ],
  );
  assert.deepEqual([answer.hostsAsked, answer.hostsFound], [3, 2]);
  const a = answer.hosts[0]!;
  assert.ok(a.fill > 0 && a.fill <= (2 * filterHashes) / (256 * 64));
  assert.ok(Math.abs(a.falsePositiveRate - a.fill ** filterHashes) < 1e-12);
  assert.ok(answer.falsePositiveRate > 0 && answer.falseHostsExpected > 0);
  const none = ask('Contains', { metric: 'first_execs', labels: { binary: '/usr/bin/gdb' } }, hosts);
  assert.deepEqual(none.hosts, []);
  assert.ok(none.notes.some((n) => n.startsWith('none of 3 hosts')));
});

test('what a caller asks a filter for is not kept', () => {
  const fleet = fleetOf([firstsOn('a', ['/bin/sh'])]);
  const { size } = fleet.dictionary;
  for (const binary of ['/bin/sh', '/never/seen']) {
    const request = { metric: 'first_execs', labels: { binary }, selector: '', pageSize: 0, pageToken: '' };
    finish(new Query().answer('Contains', request, fleet, nowMs));
  }
  assert.equal(fleet.dictionary.size, size);
});

test('a question that a filter cannot be asked is refused with what to write', () => {
  const hosts = [firstsOn('a', ['/bin/sh']), { host: 'b', tables: [{ schema: talkers, rows: [] }] }];
  const refused = (request: object): unknown => {
    try {
      ask('Contains', request, hosts);
    } catch (error) {
      if (error instanceof Rejected) return error.rejection;
      throw error;
    }
    return undefined;
  };
  const bad = (labels: object) => refused({ metric: 'first_execs', labels }) as { problem: string };
  assert.match(bad({}).problem, /"binary" is missing/);
  assert.match(bad({ binary: 'x', colour: 'red' }).problem, /no label "colour"/);
  assert.deepEqual(refused({ metric: 'talkers', labels: {} }), {
    kind: 'wrong-kind',
    metric: 'talkers',
    found: 'heavy',
    wanted: 'values seen first',
    suggestion: 'first_execs',
  });
});

test('labels encode to the key that decodes to them', () => {
  const schema: TableSchema = {
    ...firsts,
    keyWords: 8,
    labels: [
      label('comm', 'comm', 0, 16),
      label('peer', 'ipv6', 16, 16),
      label('net', 'prefix', 32, 16),
      label('port', 'port', 48),
      { ...label('way', 'enum', 56, 4), names: { 0: 'sent', 1: 'received' } },
      label('less', 's64', 60, 4),
    ],
  };
  for (const labels of [
    { comm: 'nginx', peer: '192.0.2.7', net: '2001:db8:1::/48', port: '443', way: 'received', less: '-5' },
    { comm: 'a name of 15 by', peer: '2001:db8::1', net: '198.51.100.0/24', port: '65535', way: 'sent', less: '7' },
  ]) {
    const decoded = decodeLabels(decodersOf(schema.labels, { machine: 'x86_64' }), keyOf(schema, labels), 0);
    assert.deepEqual(decoded, Object.values(labels));
  }
});
