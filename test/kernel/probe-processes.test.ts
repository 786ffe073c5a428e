/** processes: known numbers of forks, threads, execs and exits, under their names and with their ends. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { estimateDistinct } from '../../services/shared/algebra/distinct.ts';
import { Generator } from './generator.ts';
import { expectBalanced, labelled, sumOf } from './labelled.ts';
import { checkout, loadProbe, ownCgroup, requireBpf } from './probe.ts';

const acts = [
  { act: 'forks', argument: 0, kind: 'process', status: '0' },
  { act: 'forks', argument: 7, kind: 'process', status: '7' },
  { act: 'forks', argument: -9, kind: 'process', status: 'SIGKILL' },
  { act: 'threads', argument: 0, kind: 'thread', status: '0' },
] as const;

test('forks, threads and exits are counted by name, kind and end', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'processes', { scope });
  for (const [i, { act, argument, kind, status }] of acts.entries()) {
    const comm = `makes-${i}`;
    const generator = await Generator.act(['--comm', comm, '--cgroup', directory, act, 30 + i, argument]);
    await generator.run();
    assert.equal(sumOf(labelled(probe, 'process_forks'), { comm, kind }).count, BigInt(30 + i));
    assert.equal(sumOf(labelled(probe, 'process_exits'), { comm, kind, status }).count, BigInt(30 + i));
    await generator.end();
  }
  const forks = labelled(probe, 'process_forks');
  assert.equal(sumOf(forks, {}).count, 30n + 31n + 32n + 33n, 'and nothing else');
  // The four generators' own ends come on top.
  assert.equal(sumOf(labelled(probe, 'process_exits'), {}).count, 30n + 31n + 32n + 33n + 4n);
  expectBalanced(probe);
});

test('a program started by exec is counted by its new name', (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const folder = mkdtempSync(join(tmpdir(), 'muster-exec-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  copyFileSync('/bin/true', join(folder, 'new-name'));
  const probe = loadProbe(t, 'processes', { scope });
  const script = `echo 0 > ${directory}/cgroup.procs; for i in 1 2 3 4 5 6 7; do ${folder}/new-name; done; exit 3`;
  assert.throws(() => execFileSync('/bin/sh', ['-c', script], { stdio: 'ignore' }), { status: 3 });
  assert.equal(sumOf(labelled(probe, 'process_execs'), {}).count, 7n);
  assert.equal(sumOf(labelled(probe, 'process_execs'), { comm: 'new-name' }).count, 7n);
  const binaries = probe.read(
    undefined,
    probe.meta.tables.findIndex((s) => s.name === 'process_binaries'),
  );
  assert.equal(estimateDistinct(binaries.rows.map((r) => Number(r.key[0]))).value, 1, 'one binary, seven times');
  assert.equal(binaries.seen, 7n);
  const exits = labelled(probe, 'process_exits');
  assert.equal(sumOf(exits, { comm: 'new-name', kind: 'process', status: '0' }).count, 7n);
  assert.equal(sumOf(exits, { comm: 'sh', kind: 'process', status: '3' }).count, 1n);
  expectBalanced(probe);
});

test('a thread that execs ends its process’s first thread, not the process', (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'processes', { scope });
  const args = ['--comm', 'two-threads', '--cgroup', directory, 'replaces', '1'];
  execFileSync(join(checkout, 'build/test/acts'), args, { input: 'go\n', stdio: ['pipe', 'ignore', 'inherit'] });
  const exits = labelled(probe, 'process_exits');
  assert.equal(sumOf(exits, { kind: 'process' }).count, 1n, 'one process, which ended once');
  assert.equal(sumOf(exits, { kind: 'process', comm: 'true', status: '0' }).count, 1n);
  assert.equal(sumOf(exits, { kind: 'thread' }).count, 1n);
  expectBalanced(probe);
});
