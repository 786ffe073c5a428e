/** QueryStacks: the same counts folded, as a tree and as a profile; over hosts, beside a baseline, cut by limits. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { QueryStacksRequest, QueryStacksResponse, StackNode } from '../../services/shared/contract/query.ts';
import { Profile } from '../../services/shared/contract/profile.ts';
import { fleetOf, nowMs, syscalls, type HostFill } from './checkpoints.ts';
import { ask as askCore, rejectionOf } from './ask.ts';
import { stacks } from './sketch-rows.ts';

const windowMs = Math.floor((nowMs - 10_000) / 10_000) * 10_000;
type Counted = readonly [comm: string, stack: string, value: bigint];
const rowsOf = (rows: readonly Counted[]) =>
  rows.map(([comm, stack, value]) => ({ labels: [comm, stack], values: [value] }));
/** A host whose counts are all in the window before now, but for `before`, which are 100 s older. */
const host = (name: string, rows: readonly Counted[], before: readonly Counted[] = [], overflow = 0n): HostFill => ({
  host: name,
  tables: [
    {
      schema: stacks,
      rows: rowsOf(
        [...rows, ...before].filter(([c, s], i, all) => all.findIndex(([d, t]) => c === d && s === t) === i),
      ),
      overflow,
      windows: [
        { startMs: windowMs, rows: rowsOf(rows), overflow },
        { startMs: windowMs - 100_000, rows: rowsOf(before) },
      ],
    },
  ],
});
const fleet = fleetOf([
  host(
    'a',
    [
      ['nginx', 'main;work;read_[k]', 7n],
      ['nginx', 'main;work', 3n],
      ['cron', 'main;sleep', 1n],
    ],
    [['nginx', 'main;work', 5n]],
    2n,
  ),
  host('b', [['nginx', 'main;work', 10n]], [['old', 'main;gone', 4n]]),
]);
const ask = (request: Partial<QueryStacksRequest> = {}, of = fleet): QueryStacksResponse =>
  askCore(of, 'QueryStacks', { format: '', baseline: undefined, ...request });
const numbers = (reply: QueryStacksResponse) => reply.rows.map((r) => [r.stack, Number(r.value)]);

test('stacks of all hosts are one, whatever ran them; what has no labels is the residual', () => {
  const reply = ask();
  assert.deepEqual(numbers(reply), [
    ['main;work', 13],
    ['main;work;read_[k]', 7],
    ['main;sleep', 1],
  ]);
  assert.deepEqual([reply.total, reply.residual, reply.unit, reply.metric], ['23', '2', 'ns', 'cpu_profile']);
  assert.deepEqual([reply.rows[0]!.hosts, reply.coverage!.exact], [2, false]);
  assert.deepEqual({ ...reply.rows[0]!.labels }, {});
  const byComm = ask({ groupBy: ['comm', 'host'], selector: 'stack=~".*work.*"' });
  assert.deepEqual(
    byComm.rows.map((r) => [{ ...r.labels }, r.value]),
    [
      [{ comm: 'nginx', host: 'b' }, '10'],
      [{ comm: 'nginx', host: 'a' }, '7'],
      [{ comm: 'nginx', host: 'a' }, '3'],
    ],
  );
  assert.deepEqual([byComm.total, byComm.residual, byComm.totalErrorBound], ['20', '0', '2']);
});

test('pages of folded add up to the total; a tree has one page and shows the rest as a node', () => {
  const [first, all] = [ask({ pageSize: 1 }), ask()];
  const second = ask({ pageSize: 5, pageToken: first.nextPageToken });
  assert.deepEqual([...first.rows, ...second.rows], all.rows);
  assert.deepEqual([first.residual, second.residual, second.nextPageToken], ['10', '2', '']);
  const tree = ask({ format: 'tree', pageSize: 1 });
  assert.equal(tree.nextPageToken, '');
  assert.deepEqual(
    tree.nodes.map((n) => [n.name, n.parent, n.value, n.self]),
    [
      ['all', 0, '23', '0'],
      ['main', 0, '13', '0'],
      ['work', 1, '13', '13'],
      ['[not shown]', 0, '10', '10'],
    ],
  );
  assert.match(tree.notes.join(), /2 of 3 stacks are in \[not shown\]/);
});

test('a baseline: another time, other processes; what either has is there, the largest change first', () => {
  const offset = ask({ range: '30s', baseline: base({ offset: '100s' }) });
  assert.deepEqual(
    offset.rows.map((r) => [r.stack, r.value, r.baselineValue, r.difference]),
    [
      ['main;work', '13', '5', '8'],
      ['main;work;read_[k]', '7', '0', '7'],
      ['main;gone', '0', '4', '-4'],
      ['main;sleep', '1', '0', '1'],
    ],
  );
  assert.deepEqual([offset.baselineTotal, offset.baselineResidual, offset.residual], ['9', '0', '2']);
  const hosts = ask({ selector: 'host="a"', baseline: base({ selector: 'host="b"' }), orderBy: 'value' });
  assert.deepEqual(
    hosts.rows.map((r) => [r.stack, r.difference]),
    [
      ['main;work;read_[k]', '7'],
      ['main;work', '-7'],
      ['main;sleep', '1'],
    ],
  );
  const nodes = ask({ range: '30s', format: 'tree', baseline: base({ offset: '100s' }) }).nodes;
  assert.deepEqual([nodes[0]!.value, nodes[0]!.baselineValue], ['23', '9']);
  assert.ok(nodes.some((n) => n.name === 'gone' && n.value === '0' && n.baselineSelf === '4'));
});

test('what cannot be asked is refused, with the fix', () => {
  const refused = (request: Partial<QueryStacksRequest>) => rejectionOf(() => ask(request));
  assert.match(JSON.stringify(refused({ format: 'tre' })), /did you mean \\"tree/);
  for (const [baseline, field] of [
    [{}, 'baseline'],
    [{ offset: '15s' }, 'baseline.offset'],
    [{ offset: '10m', range: '1m' }, 'baseline.offset'],
    [{ offset: '3h' }, 'baseline.offset'],
    [{ range: '3 weeks' }, 'baseline.range'],
  ] as const)
    assert.equal((refused({ baseline: base(baseline) }) as { field: string }).field, field, JSON.stringify(baseline));
  assert.equal(
    (refused({ range: 'all', baseline: base({ offset: '10m' }) }) as { field: string }).field,
    'baseline.offset',
  );
  const others = fleetOf([{ host: 'a', tables: [{ schema: syscalls, rows: [] }] }]);
  assert.equal(rejectionOf(() => ask({ metric: 'syscalls' }, others)).kind, 'wrong-kind');
  assert.match(ask({}, others).notes.join(), /muster load cpu_profile/);
});

test('a tree and a profile that would be too large keep their totals', () => {
  const rows = Array.from({ length: 9000 }, (_, i): Counted => ['x', `main;${'f'.repeat(300)}${i}`, BigInt(9000 - i)]);
  const large = fleetOf([host('a', rows)]);
  const tree = ask({ format: 'tree' }, large);
  expectTree(tree.nodes, '40504500');
  assert.ok(Number(tree.residual) > 0 && tree.nodes.length > 1000);
  const { pprof } = ask({ format: 'pprof' }, large);
  assert.ok(pprof.length < 3 * 2 ** 20 && pprof.length > 2 ** 20, `${pprof.length} bytes`);
  assert.equal(
    Profile.decode(pprof).sample.reduce((n, s) => n + s.value[0]!, 0n),
    40504500n,
  );
});

const base = (of: Partial<NonNullable<QueryStacksRequest['baseline']>>) => ({
  selector: '',
  range: '',
  startTime: undefined,
  endTime: undefined,
  offset: '',
  ...of,
});

function expectTree(nodes: readonly StackNode[], total: string): void {
  assert.equal(nodes[0]!.value, total);
  const below = nodes.map((n) => BigInt(n.self));
  nodes.slice(1).forEach((n, i) => {
    assert.ok(n.parent <= i, 'a node stands before those below it');
    below[n.parent]! += BigInt(n.value);
  });
  assert.deepEqual(
    below,
    nodes.map((n) => BigInt(n.value)),
  );
}

const frame = fc.constantFrom('main', 'work', 'read_[k]', 'a b', '');
const counted = fc.tuple(
  fc.constantFrom('x', 'y'),
  fc.array(frame, { minLength: 1, maxLength: 4 }).map((f) => f.join(';')),
  fc.bigInt({ min: 1n, max: 2n ** 56n }),
);
const unique = fc.uniqueArray(counted, { maxLength: 8, selector: ([c, s]) => `${c} ${s}` });

test('folded rows, tree and profile say the same of the same counts', () => {
  fc.assert(
    fc.property(unique, unique, fc.bigInt({ min: 0n, max: 9n }), fc.boolean(), (one, two, overflow, byComm) => {
      const both = fleetOf([host('a', one, two, overflow), host('b', two)]);
      const request = { range: '30s', groupBy: byComm ? ['comm'] : [], baseline: base({ offset: '100s' }) };
      const folded = ask(request, both);
      const sum = (values: readonly (string | undefined)[]) => values.reduce((n, v) => n + BigInt(v ?? 0), 0n);
      assert.equal(sum(folded.rows.map((r) => r.value)) + BigInt(folded.residual), BigInt(folded.total));
      assert.equal(
        sum(folded.rows.map((r) => r.baselineValue)) + BigInt(folded.baselineResidual!),
        BigInt(folded.baselineTotal!),
      );
      const { nodes } = ask({ ...request, format: 'tree' }, both);
      expectTree(nodes, folded.total);
      // The tree back to its stacks.
      const paths: string[] = [];
      const seen = new Map<string, [string, string]>();
      nodes.forEach((n, i) => {
        paths[i] = i === 0 ? '' : `${paths[n.parent]!}\n${n.name}`;
        if (n.self !== '0' || n.baselineSelf !== '0') seen.set(paths[i], [n.self, n.baselineSelf!]);
      });
      for (const r of folded.rows) {
        const path = [...Object.values(r.labels), ...r.stack.split(';')].map((t) => `\n${t}`).join('');
        assert.deepEqual(seen.get(path), [r.value, r.baselineValue], path);
      }
      const decoded = Profile.decode(ask({ ...request, format: 'pprof' }, both).pprof);
      const positive = decoded.sample.map((s) => s.value[0]!).filter((v) => v > 0n);
      const negative = decoded.sample.map((s) => s.value[0]!).filter((v) => v < 0n);
      assert.equal(
        positive.reduce((n, v) => n + v, 0n),
        BigInt(folded.total),
      );
      assert.equal(-negative.reduce((n, v) => n + v, 0n), BigInt(folded.baselineTotal!));
    }),
    { numRuns: 60 },
  );
});

/** Value by function, flat, as `-top` of pprof prints it. */
const flatOf = (text: string): Map<string, number> =>
  new Map(
    text
      .split('\n')
      .map((line) => /^\s*(-?[\d.]+)(?:ns|B)?\s+\S+%\s+\S+%\s+\S+\s+\S+%\s+(.*)$/.exec(line))
      .flatMap((m) => (m ? [[m[2]!, Number(m[1])] as const] : [])),
  );
const hasGo = spawnSync('go', ['version']).error === undefined;

test('the profile decodes by its schema, and pprof prints the same totals', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-pprof-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'p.pb');
  const reply = ask({ format: 'pprof', groupBy: ['comm'] });
  writeFileSync(file, reply.pprof);
  const proto = join(import.meta.dirname, '../../proto');
  const decode = ['--decode=perftools.profiles.Profile', `-I${proto}`, 'perftools/profiles/profile.proto'];
  const text = execFileSync('protoc', decode, { input: reply.pprof, encoding: 'utf8' });
  assert.deepEqual(
    [...text.matchAll(/^ {2}value: (-?\d+)$/gm)].map((m) => Number(m[1])).sort((a, b) => b - a),
    [13, 7, 2, 1],
  );
  assert.doesNotMatch(text, /^\s*\d+: /m, 'no field that the schema lacks');
  if (!hasGo) return t.skip('no `go tool pprof`: deploy/packages.sh golang-go');
  const top = (...words: string[]): string => {
    const flags = ['-top', '-unit=ns', '-nodefraction=0', '-nodecount=0', '-symbolize=none'];
    return execFileSync('go', ['tool', 'pprof', ...flags, ...words, file], {
      encoding: 'utf8',
      env: { ...process.env, HOME: folder },
    });
  };
  const expected = { work: 13, 'read_[k]': 7, '[not shown]': 2, sleep: 1, main: 0 };
  const all = top();
  assert.match(all, /of 23ns total/);
  assert.deepEqual(Object.fromEntries(flatOf(all)), expected);
  assert.deepEqual(Object.fromEntries(flatOf(top('-tagfocus=comm=cron'))), { sleep: 1, main: 0 });
  writeFileSync(file, ask({ range: '30s', format: 'pprof', baseline: base({ offset: '100s' }) }).pprof);
  const flat = flatOf(top());
  assert.deepEqual([flat.get('work'), flat.get('gone'), flat.get('read_[k]')], [8, -4, 7]);
});
