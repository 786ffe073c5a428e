/** Opt-in labels in the real kernel: each event under the cgroup and the process that it belongs to, version 1 and 2. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cgroupMountOf } from '../../services/shared/contract/cgroup-mount.ts';
import { kernelEnum } from '../../services/loader/object/kernel-btf.ts';
import { kernelTypes } from '../../services/loader/adapters/host.ts';
import { Generator } from './generator.ts';
import { expectBalanced, labelled, sumOf } from './labelled.ts';
import { loadProbe, ownCgroup, requireBpf } from './probe.ts';

test('calls by cgroup and process: as many as each made, under their paths and numbers', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const inner = join(directory, 'inner');
  mkdirSync(inner);
  const probe = loadProbe(t, 'syscalls', { scope, labels: ['cgroup', 'container', 'process', 'cmdline'] });
  const path = scope.replace('cgroup=', '');
  const args = (comm: string, where: string): (string | number)[] => [
    '--comm',
    comm,
    '--cgroup',
    where,
    '--call',
    'getppid',
  ];
  const first = await Generator.start([...args('first', directory), '--calls', 3000]);
  const second = await Generator.start([...args('second', inner), '--calls', 2000, '--threads', 2]);
  await first.run();
  await second.run();
  const rows = labelled(probe, 'syscalls');
  const of = (comm: string, more: Record<string, string>): bigint =>
    sumOf(rows, { syscall: 'getppid', comm, ...more }).count;
  // The name of the first thread, which is not the one that calls.
  const leader = (pid: number): string => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  assert.equal(of('first', { cgroup: path, process: `${leader(first.pid)}[${first.pid}]` }), 3000n);
  assert.equal(of('second', { cgroup: `${path}/inner`, process: `${leader(second.pid)}[${second.pid}]` }), 4000n);
  assert.equal(of('first', { container: '' }), 3000n);
  const cmdline = rows.find((r) => r.labels['comm'] === 'first')!.labels['cmdline']!;
  assert.match(cmdline, /--comm first --cgroup/);
  await first.end();
  await second.end();
  const gone = labelled(probe, 'syscalls');
  assert.equal(sumOf(gone, { syscall: 'getppid', process: `first[${first.pid}]` }).count, 3000n, 'the captured name');
  expectBalanced(probe);
  rmdirSync(inner);
});

test('where cgroup v1 names cgroups, the id is that of the controller’s own hierarchy', async (t) => {
  if (!requireBpf(t)) return;
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const mount = cgroupMountOf(mounts.filter((line) => !line.includes(' - cgroup2 ')).join('\n'));
  if (!mount) return t.diagnostic('this machine has no cgroup v1 hierarchy');
  const { scope, directory } = ownCgroup(t);
  const own = join(mount.directory, `muster-owner-${process.pid}`);
  mkdirSync(own);
  t.after(() => rmdirSync(own));
  const controllers = Object.entries(kernelEnum(kernelTypes(), 'cgroup_subsys_id')!);
  const number = Number(controllers.find(([, name]) => name === `${mount.controller}_cgrp_id`)![0]);
  const probe = loadProbe(t, 'syscalls', { scope, labels: ['cgroup'], cgroupV1: number + 1 });
  const generator = await Generator.start([
    '--comm',
    'old',
    '--cgroup',
    directory,
    '--call',
    'getppid',
    '--calls',
    1000,
  ]);
  writeFileSync(join(own, 'cgroup.procs'), String(generator.pid));
  await generator.run();
  await generator.end();
  const id = statSync(own, { bigint: true }).ino;
  const counted = probe
    .read()
    .rows.filter(({ key }) => key[0] === id && key[2] === 110n)
    .reduce((sum, { values }) => sum + values[0]!, 0n);
  assert.equal(counted, 1000n);
});
