/** What ListHosts, GetHost and answers say of hosts that are not as they should be. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { finish, Query } from '../../services/query/query.ts';
import type { MethodName, RequestOf, ResponseOf } from '../../services/shared/contract/query.ts';
import { fleetOf, nowMs, syscalls, type HostFill } from './checkpoints.ts';

const blank = { metric: '', selector: '', groupBy: [], range: '', orderBy: '', pageSize: 0, pageToken: '', host: '' };
const ask = <M extends MethodName>(fill: Partial<HostFill>, method: M, request: object = {}): ResponseOf<M> => {
  const rows = [{ labels: ['read', 'nginx'], values: [5n] }];
  const fleet = fleetOf([{ host: 'web-1', tables: [{ schema: syscalls, rows }], ...fill }]);
  return finish(new Query().answer(method, { ...blank, ...request } as unknown as RequestOf<M>, fleet, nowMs));
};
const secondsOf = (t: { seconds: string | number } | null | undefined): number => Number(t?.seconds);

test('a host that reports has no time since when it is stale; a silent one has', () => {
  assert.equal(ask({}, 'GetHost').host!.staleSinceTime ?? null, null);
  const mergedMs = nowMs - 90_000;
  const silent = ask({ mergedMs }, 'GetHost').host!;
  assert.equal(silent.state, 'stale');
  assert.equal(secondsOf(silent.staleSinceTime), Math.floor(mergedMs / 1000));
  const { notes } = ask({ mergedMs }, 'Query', { range: 'all' });
  assert.ok(
    notes.some((n) => n.includes('web-1 since 2026-01-31T11:58:35')),
    notes.join('\n'),
  );
});

test('a clock that is off is told, with its sign', () => {
  for (const [clockSkewMs, words] of [
    [3_600_000, 'the clock of web-1 is 3600 s ahead'],
    [-20_000, 'the clock of web-1 is 20 s behind'],
  ] as const) {
    const { hosts, notes } = ask({ clockSkewMs }, 'ListHosts');
    assert.equal(secondsOf(hosts[0]!.clockSkew), clockSkewMs / 1000);
    assert.ok(notes[0]?.startsWith(words), notes.join('\n'));
  }
  assert.deepEqual(ask({ clockSkewMs: 40 }, 'ListHosts').notes, []);
});

test('what a host could not load stands among its probes, with the reason', () => {
  const missing = [
    { probe: 'tcp_bytes', program: '', hook: '', reason: 'no such hook' },
    { probe: 'syscalls', program: 'on_more', hook: 'fentry/x', reason: 'not permitted' },
  ];
  const { probes } = ask({ missing }, 'GetHost').host!;
  assert.deepEqual(
    probes.map((p) => [p.probe, p.state, p.reason]),
    [
      ['syscalls', 'live', ''],
      ['tcp_bytes', 'missing', 'no such hook'],
    ],
  );
  assert.deepEqual(
    probes[0]!.programs.map((p) => [p.program, p.hook, p.state, p.reason]),
    [
      ['p', '', 'attached', ''],
      ['on_more', 'fentry/x', 'missing', 'not permitted'],
    ],
  );
});

test('a second machine of the same name is told apart, and answers about the name are not exact', () => {
  const both = { namesake: { mergedMs: nowMs - 300 } };
  const host = ask(both, 'GetHost').host!;
  assert.equal(host.bootId, '01010101-0101-0101-0101-010101010101');
  assert.deepEqual(
    host.probes.map((p) => [p.state, p.bootId.slice(0, 8)]),
    [
      ['live', '01010101'],
      ['namesake', '02020202'],
    ],
  );
  assert.match(host.probes[1]!.reason, /another machine/);
  const answer = ask(both, 'Query', { range: 'all' });
  assert.deepEqual(
    [answer.total, answer.coverage!.exact, answer.coverage!.ledger!.quarantined],
    ['5', false, '9'],
    JSON.stringify(answer.coverage),
  );
  const said = '2 machines report as web-1: boot 01010101-0101-0101-0101-010101010101 counts, 02020202-';
  assert.ok(
    answer.notes.some((n) => n.startsWith(said)),
    answer.notes.join('\n'),
  );
  assert.ok(ask(both, 'ListHosts').notes[0]?.startsWith(said));
  // Once it has another name, nothing is missing here any more.
  const gone = ask({ namesake: { mergedMs: nowMs - 60_000 } }, 'Query', { range: 'all' });
  assert.deepEqual([gone.total, gone.coverage!.exact], ['5', true]);
});
