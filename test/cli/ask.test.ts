/** Verbs that ask, as processes against the real server: formats, live views, exit codes; completion; configuration. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { frame, Held } from '../../services/cli/output/live.ts';
import { heatMap } from '../../services/cli/output/heat-map.ts';
import { flameSvg } from '../../services/cli/output/flame-svg.ts';
import { csv, jsonLines } from '../../services/cli/output/records.ts';
import { Profile } from '../../services/shared/contract/profile.ts';
import type { QueryRow, StackNode, WatchResponse } from '../../services/shared/contract/query.ts';
import { nowMs, syscalls } from '../query/checkpoints.ts';
import { stacks } from '../query/sketch-rows.ts';
import { serve, type Rig } from '../query/rig.ts';

const main = join(import.meta.dirname, '../../services/cli/main.ts');
let rig: Rig;
const began = performance.now();
before(async () => {
  rig = await serve(undefined, { now: () => nowMs + performance.now() - began });
  const rows = [
    { labels: ['read', 'a,"b"'], values: [7n] },
    { labels: ['write', 'c'], values: [2n ** 60n + 1n] },
  ];
  const byStack = [
    { labels: ['a b', 'main;<work>'], values: [3n] },
    { labels: ['c', 'main;read_[k]'], values: [1n] },
  ];
  rig.port.commit([
    {
      host: 'h',
      mergedMs: nowMs - 60_000,
      tables: [
        { schema: syscalls, rows },
        { schema: stacks, rows: byStack, overflow: 2n },
      ],
    },
  ]);
});
after(() => rig.close());

function muster(argv: readonly string[], env: Record<string, string> = {}, encoding: 'utf8' | 'latin1' = 'utf8') {
  return new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', main, ...argv], {
      env: { ...process.env, MUSTER_SERVER: rig.address, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, err] = ['', ''];
    child.stdout.setEncoding(encoding).on('data', (t: string) => (out += t));
    child.stderr.setEncoding('utf8').on('data', (t: string) => (err += t));
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

test('csv and jsonl carry exact values; an incomplete answer is exit code 3 when it must not be', async () => {
  const [table, lines, incomplete] = await Promise.all([
    muster(['top', '-r', 'all', '-o', 'csv']),
    muster(['top', '-r', 'all', '-o', 'jsonl']),
    muster(['top', '-r', 'all', '--require-complete']),
  ]);
  const [title, first, second] = table.out.split('\n');
  assert.equal(title, 'syscall,comm,value,ratePerSecond,hosts,errorBound');
  assert.match(first!, /^write,c,1152921504606846977,/);
  assert.match(second!, /^read,"a,""b""",7,/);
  assert.deepEqual(
    lines.out
      .trim()
      .split('\n')
      .map((l) => (JSON.parse(l) as QueryRow).value),
    ['1152921504606846977', '7'],
  );
  assert.equal(incomplete.code, 3);
});

test('flame: folded text, a picture, a profile; each adds up to the total', async () => {
  const [folded, svg, pprof, table, rpc] = await Promise.all([
    muster(['flame', '-r', 'all', '-g', 'comm']),
    muster(['flame', 'cpu_profile', '-r', 'all', '-o', 'svg']),
    muster(['flame', '-r', 'all', '-o', 'pprof'], {}, 'latin1'),
    muster(['flame', '-r', 'all', '-o', 'table']),
    muster(['flame', '--before', '10m', '-o', 'svg', '--show-rpc']),
  ]);
  assert.equal(folded.out, 'a_b;main;<work> 3\nc;main;read_[k] 1\n[not shown] 2\n');
  assert.match(folded.err, /total 6 ns/);
  for (const text of [
    'cpu_profile: 6 ns',
    'main: 4 ns (66.67 %)',
    '&#60;work&#62;: 3 ns (50.00 %)',
    '[not shown]: 2 ns',
  ])
    assert.ok(svg.out.includes(text), text);
  const { sample } = Profile.decode(Buffer.from(pprof.out, 'latin1'));
  assert.deepEqual(
    sample.map((s) => s.value[0]),
    [3n, 1n, 2n],
  );
  assert.match(table.out, /^ +ns +rate +stack\n3 ns .*main;<work>\n/);
  assert.match(
    rpc.out,
    /-d '\{"format":"tree","baseline":\{"offset":"10m"\}\}' \S+ muster\.v1\.QueryService\/QueryStacks\n$/,
  );
});

test('a flame graph is XML whatever the names are, and its boxes stay within those below them', (t) => {
  const node = (name: string, parent: number, value: string, baselineValue?: string): StackNode => ({
    ...{ name, parent, value, self: '0' },
    ...(baselineValue === undefined ? {} : { baselineValue, baselineSelf: '0' }),
  });
  const strange = ['<a&b>"', '\u0000\u0007', '\ud800x', '😀'.repeat(40), '__proto__'];
  const nodes = [
    node('all', 0, '100', '100'),
    ...strange.map((name, i) => node(name, 0, i === 0 ? '100' : '0', i === 0 ? '0' : '25')),
  ];
  const svg = flameSvg({ nodes, title: 'a < b', unit: 'ns' });
  const parsed = spawnSync('python3', ['-c', 'import sys,xml.dom.minidom as m;m.parse(sys.stdin.buffer)'], {
    input: svg,
  });
  t.diagnostic(String(parsed.stderr));
  assert.equal(parsed.status, 0);
  const boxes = [...svg.matchAll(/<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)"/g)].map((m) => m.slice(1).map(Number));
  assert.equal(boxes.length, 1 + strange.length);
  const rightmost = Math.max(...boxes.map(([x, , w]) => x! + w!));
  assert.ok(rightmost <= 1190.05, `${rightmost}`);
  assert.match(flameSvg({ nodes: [node('all', 0, '0')], title: '', unit: '' }), /<\/svg>\n$/);
});

test('watch: an update a text, its grpcurl line, its errors', async () => {
  const [text, lines, rpc, wrong] = await Promise.all([
    muster(['watch', '-r', 'all', '--updates', '1']),
    muster(['watch', '-r', 'all', '--updates', '1', '-o', 'jsonl']),
    muster(['watch', 'syscalls', '--interval', '2s', '--show-rpc']),
    muster(['watch', '--interval', '1ms']),
  ]);
  assert.match(text.out, /^syscall +comm +calls[^]*write +c +1,152,921,504,606,846,977/);
  assert.equal((JSON.parse(lines.out) as WatchResponse).rows.length, 2);
  assert.match(
    rpc.out,
    /-d '\{"query":\{"metric":"syscalls"\},"interval":"2s"\}' \S+ muster\.v1\.QueryService\/Watch\n$/,
  );
  assert.equal(wrong.code, 64 + 3);
  assert.equal(wrong.err.trim().split('\n').length, 3);
});

test('on a terminal `top` draws in place until it is told to stop', { timeout: 60_000 }, async (t) => {
  if (spawnSync('script', ['--version']).status !== 0) return t.skip('no `script` to make a terminal');
  const command = `exec ${process.execPath} --import tsx ${main} top -r all`;
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    env: { ...process.env, MUSTER_SERVER: rig.address, TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let out = '';
  let told = false;
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    // The terminal's own interrupt, once something was drawn.
    if (!told && out.includes('1,152,921,504,606,846,977')) told = child.stdin.write('\u0003');
  });
  assert.equal(await ended, 0);
  assert.match(out, /\u001b\[1msyscall/);
  assert.match(out, /\u001b\[J/);
});

test('what is held after updates is sorted as the service sorts; a frame replaces the one before', () => {
  const row = (comm: string, value: string): QueryRow => ({
    labels: { comm },
    value,
    ratePerSecond: 0,
    hosts: 1,
    errorBound: '0',
  });
  const update = { whole: true, rows: [row('b', '5'), row('a', '5'), row('c', '9007199254740993')], removed: [] };
  const held = new Held('');
  const take = (u: object) =>
    held.take({ coverage: { seconds: 2 }, ...u } as unknown as WatchResponse).rows.map((r) => r.labels['comm']);
  assert.deepEqual(take(update), ['c', 'a', 'b']);
  assert.deepEqual(take({ whole: false, rows: [row('b', '6')], removed: [{ labels: { comm: 'c' } }] }), ['b', 'a']);
  const first = frame('one\ntwo long line\n', 0, 8, 10);
  assert.deepEqual(first, { bytes: 'one\u001b[K\ntwo long\u001b[K\n\u001b[J', lines: 2 });
  assert.ok(frame('x\n', first.lines, 8, 10).bytes.startsWith('\u001b[2A\rx'));
  assert.equal(frame('1\n2\n3\n4\n', 0, 8, 3).lines, 2);
});

test('a heat map is darkest where most was observed', () => {
  const at = (seconds: number, ...buckets: (readonly [string, string, string])[]) => ({
    time: { seconds: String(seconds), nanos: 0 },
    count: '0',
    quantiles: [],
    buckets: buckets.map(([lower, upper, count]) => ({ lower, upper, count })),
  });
  const lines = heatMap([at(0, ['8', '8', '1000'], ['2', '2', '1']), at(10, ['0', '0', '3'])], 'ns');
  assert.match(lines[0]!, /^ +8 ns {2}██ {2}$/);
  assert.match(lines[2]!, /^ +2 ns {2}·· {2}$/);
  assert.match(lines.at(-1)!, /up to 1,000/);
  assert.deepEqual(heatMap([at(0)], 'ns'), []);
});

test('records: a series is a line a point, an answer without rows is a line', () => {
  const points = [{ time: { seconds: '0', nanos: 0 }, value: '1', ratePerSecond: 0.1 }];
  assert.equal(
    csv({ series: [{ labels: { host: 'a' }, points, hosts: 1 }] }),
    'host,hosts,time,value,ratePerSecond\na,1,1970-01-01T00:00:00Z,1,0.1\n',
  );
  assert.equal(csv({ rows: [] }), '');
  const clashing = { value: 'v', hosts: 'h', count: 'c', label_value: 'l' };
  assert.equal(
    csv({
      rows: [
        { labels: clashing, value: '1', hosts: 2 },
        { labels: {}, count: '3' },
      ],
    }),
    'label_label_value,label_hosts,label_count,label_value,value,hosts,count\nv,h,c,l,1,2,\n,,,,,,3\n',
  );
  assert.equal(
    csv({ series: [{ labels: { value: 'v' }, points }] }).split('\n')[0],
    'label_value,time,value,ratePerSecond',
  );
  assert.equal(jsonLines({ host: { host: 'a', lag: { seconds: '1', nanos: 0 } } }), '{"host":"a","lag":"1s"}\n');
});

test('completion in bash completes verbs and flags', async () => {
  const { out } = await muster(['completion', 'bash']);
  const complete = (words: string) =>
    spawnSync(
      'bash',
      ['-c', `${out}\nCOMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _muster; echo "\${COMPREPLY[@]}"`],
      {
        encoding: 'utf8',
      },
    ).stdout.trim();
  assert.equal(complete('muster wat'), 'watch');
  assert.equal(complete('muster hist --quant'), '--quantiles');
  const [zsh, fish, other] = await Promise.all(['zsh', 'fish', 'csh'].map((s) => muster(['completion', s])));
  assert.match(zsh!.out, /^#compdef muster/);
  assert.match(fish!.out, /complete -c muster .* -l selector/);
  assert.equal(other!.code, 2);
});

test('flag > environment > conf.d > config.yaml > default; unknown keys are refused with a suggestion', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-config-'));
  mkdirSync(join(folder, 'conf.d'));
  const env = { MUSTER_CONFIG_DIR: folder };
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write('config.yaml', `cli:\n  server: ${rig.address}\n  output: csv\n`);
  const server = async (argv: string[], more = {}) =>
    (await muster(['config', 'show', 'cli', '-o', 'json', ...argv], { ...env, ...more })).out;
  const settingOf = (json: string) =>
    (JSON.parse(json) as { settings: { setting: string; value: string; origin: string }[] }).settings.find(
      (s) => s.setting === 'server',
    )!;
  const whole = await server([], { MUSTER_SERVER: 'env:1' });
  assert.deepEqual(settingOf(whole), { section: 'cli', setting: 'server', value: 'env:1', origin: 'environment' });
  write('conf.d/10.yaml', 'cli:\n  server: first:1\n');
  write('conf.d/20.yaml', 'cli:\n  require-complet: true\n');
  const refused = await muster(['config', 'check', 'cli'], env);
  assert.equal(refused.code, 2);
  assert.match(refused.err, /20\.yaml[^]*unknown setting require-complet[^]*did you mean require-complete\?/);
  write('conf.d/20.yaml', 'cly: {}\n');
  assert.match((await muster(['top'], env)).err, /unknown section cly[^]*did you mean cli\?/);
  write('conf.d/20.yaml', 'cli: [\n');
  assert.match((await muster(['top'], env)).err, /20\.yaml[^]*line \d+, column \d+/);
  rmSync(folder, { recursive: true });
});
