/** first_seen: programs and places make a row the first time, and never again; the filter says what was seen. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keyOf } from '../../services/query/answer/key-of.ts';
import { bitsOf } from '../../services/shared/algebra/filter.ts';
import { stir } from '../../services/shared/algebra/sketch-hash.ts';
import { keyMark } from '../../services/shared/contract/key-mark.ts';
import { Host, second } from './agents.ts';
import { Generator } from './generator.ts';
import { expectBalanced, labelled } from './labelled.ts';
import { loadProbe, ownCgroup, requireBpf, type LoadedProbe } from './probe.ts';

/** Whether the filter of a table has all bits of a value, given as callers do. */
function knows(probe: LoadedProbe, table: string, labels: Record<string, string>): boolean {
  const schema = probe.meta.tables.find((s) => s.name === table)!;
  const number = probe.meta.tables.findIndex((s) => s.name === `${table}_filter`);
  const words = new Map(probe.read(undefined, number).rows.map((r) => [Number(r.key[0]), r.values[1]!]));
  const hash = stir(keyMark(keyOf(schema, labels), 0, schema.keyWords));
  return bitsOf(hash, probe.meta.tables[number]!.rows * 64).every(
    (bit) => ((words.get(bit >> 6) ?? 0n) >> BigInt(bit & 63)) & 1n,
  );
}

test('a program makes a row when it is first started, by its path', (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const folder = mkdtempSync(join(tmpdir(), 'muster-first-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const count = 25;
  const paths = Array.from({ length: count }, (_, i) => join(folder, `program-${i}`));
  for (const path of paths) copyFileSync('/bin/true', path);
  const probe = loadProbe(t, 'first_seen', { scope });
  const run = (): void => {
    const script = `echo 0 > ${directory}/cgroup.procs; for round in 1 2 3; do ${paths.join('; ')}; done`;
    execFileSync('/bin/sh', ['-c', script], { stdio: 'ignore' });
  };
  const expected = paths.map((binary) => ({ labels: { binary }, count: 1n, sum: 0n }));
  const rows = (): unknown[] =>
    labelled(probe, 'first_execs').sort(
      (a, b) => paths.indexOf(a.labels['binary']!) - paths.indexOf(b.labels['binary']!),
    );
  run();
  assert.deepEqual(rows(), expected);
  run();
  assert.deepEqual(rows(), expected, 'what was seen before makes no row');
  for (const binary of paths) assert.ok(knows(probe, 'first_execs', { binary }));
  assert.ok(!knows(probe, 'first_execs', { binary: join(folder, 'program-never') }));
  expectBalanced(probe);
});

test('a place makes a row when it is first connected to', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'first_seen', { scope });
  for (const port of [9, 11, 9, 13]) {
    const generator = await Generator.act(['--cgroup', directory, 'connects', 5, port]);
    await generator.run();
    await generator.end();
  }
  const places = labelled(probe, 'first_connects').map(({ labels, count }) => [labels['peer'], labels['port'], count]);
  assert.deepEqual(places.sort(), [
    ['127.0.0.1', '11', 1n],
    ['127.0.0.1', '13', 1n],
    ['127.0.0.1', '9', 1n],
  ]);
  assert.ok(knows(probe, 'first_connects', { peer: '127.0.0.1', port: '11' }));
  assert.ok(!knows(probe, 'first_connects', { peer: '127.0.0.1', port: '12' }));
  expectBalanced(probe);
});

test('what was seen stays seen through agents and generations', (t) => {
  if (!requireBpf(t)) return;
  const folder = mkdtempSync(join(tmpdir(), 'muster-first-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const host = new Host(t, { first_seen: {} });
  const programs = ['before', 'between', 'after'].map((name) => join(folder, name));
  for (const path of programs) copyFileSync('/bin/true', path);
  const often = { sealAgeNs: 2n * second, sealGapNs: 2n * second };
  for (const [i, dieAt] of ['', 'write-control', ''].entries()) {
    // One that is new, and those that are not.
    for (const path of programs.slice(0, i + 1)) execFileSync(path);
    host.agent(6, { limits: often, dieAt });
  }
  host.agent(3);
  const counted = host.counted('first_seen', 'first_execs');
  for (const path of programs) assert.equal(counted.get(path), 1n, path);
  assert.ok([...host.failed.keys()].length > 2, 'several generations');
});
