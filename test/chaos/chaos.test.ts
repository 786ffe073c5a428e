/** A short run of chaos (main.ts makes long ones): a fault of each sort, every part among the victims, nothing miscounted. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { root } from '../integration/instance.ts';
import { requireOrSkip } from '../require.ts';
import { Clock } from './clock.ts';
import { faults } from './faults/kinds.ts';
import { NatsFrames } from './nats-frames.ts';
import { flowProgram } from './flow.ts';
import { runChaos } from './run.ts';
import { asTable } from './summary.ts';
import { worldNeeds } from './world.ts';

/** A rolling upgrade and its way back are in every run. */
const always = ['agent of another wire version'];

/** One of each sort, dear ones left to long runs; the seed gives their order and all else. */
const chosen = [
  'kill agent',
  'kill keeper',
  'kill aggregator',
  'kill query',
  'kill nats',
  'kill redis',
  'kill all at once',
  'kill agent at a call while running',
  'kill aggregator at a call while running',
  'stop redis',
  'bus is silent',
  'store loses a reply',
  'store flushed',
  'bit of a checkpoint flipped',
  'stream purged',
  'garbage on the bus',
  'two agents on different pins',
  'clock of agent stepped',
  'calls of agent fail',
  ...always,
];

test('NATS messages are cut out whole, however TCP cuts them', () => {
  const text = 'INFO {}\r\nPUB a.b 5\r\nhello\r\nHPUB c r 4 6\r\nhe\r\nlo\r\nHMSG d 1 2 3\r\nxyz\r\nPING\r\n';
  for (let size = 1; size <= text.length; size++) {
    const frames = new NatsFrames();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...frames.push(Buffer.from(text.slice(at, at + size))));
    assert.equal(found.map((f) => f.bytes.toString()).join(''), text);
    assert.deepEqual(
      found.map((f) => f.subject),
      [undefined, 'a.b', 'c', 'd', undefined],
    );
  }
});

test('the wall clock of one process is stepped while it runs', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'muster-clock-')), 'clock');
  const clock = new Clock(file);
  const script = 'const t = Date.now(); process.stdout.write(String(t)); process.stdout.write(" " + performance.now())';
  const readings = [0, 86_400, -31_536_000].map((seconds) => {
    clock.set(seconds);
    const before = Date.now();
    const [wall] = execFileSync(process.execPath, ['-e', script], { env: { ...process.env, ...clock.environment } })
      .toString()
      .split(' ');
    return Math.round((Number(wall) - before) / 100_000);
  });
  assert.deepEqual(readings, [0, 864, -315_360]);
  rmSync(dirname(file), { recursive: true });
});

test('two hosts stay exact while every part is broken', { timeout: 200_000 }, async (t) => {
  const need = worldNeeds();
  if (!requireOrSkip(t, need ?? '', need === undefined)) return;
  for (const program of ['nats-server', 'redis-server', 'strace', 'setpriv'])
    if (!requireOrSkip(t, program, spawnSync(program, ['--version']).error === undefined)) return;
  if (!requireOrSkip(t, 'the load (deploy/setup.sh)', existsSync(flowProgram))) return;
  const kinds = chosen.map((kind) => {
    const fault = faults.find((f) => f.kind === kind);
    assert.ok(fault, `no fault is called ${kind}`);
    return fault;
  });
  const seed = BigInt(Date.now());
  const outcome = await runChaos({
    seed,
    minutes: 0.6,
    kinds,
    first: always,
    interval: '500ms',
    logs: join(root, 'build/chaos-test'),
    say: (line) => t.diagnostic(line),
  });
  const table = asTable(outcome);
  t.diagnostic(table);
  assert.deepEqual(outcome.miscounts, [], table);
  const injected = outcome.tallies.filter((tally) => tally.injected > 0).length;
  for (const kind of always)
    assert.ok(
      outcome.tallies.some((t) => t.kind === kind && t.exact > 0),
      table,
    );
  assert.ok(injected >= 4, `only ${injected} kinds of fault within the time\n${table}`);
});
