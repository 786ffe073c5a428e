/** reclaim and oom_kills, in a cgroup with little memory of its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { Generator } from './generator.ts';
import { expectBalanced, labelled, sumOf } from './labelled.ts';
import { memoryCgroup } from './memory-cgroup.ts';
import { checkout, loadProbe, requireBpf } from './probe.ts';
import { requireOrSkip } from '../require.ts';

const mebibyte = 1024 * 1024;
/** Pages; 96 MiB. */
const read = 96 * 256;

test('a task that reads more than its cgroup holds reclaims the difference', async (t) => {
  if (!requireBpf(t)) return;
  const memory = memoryCgroup(t, 16 * mebibyte);
  if (!requireOrSkip(t, 'the memory controller', memory !== undefined)) return;
  const folder = mkdtempSync(join(tmpdir(), 'muster-reclaim-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  // A file of holes: its pages are read without a disk.
  const file = join(folder, 'holes');
  writeFileSync(file, '');
  truncateSync(file, read * 4096);
  const probe = loadProbe(t, 'reclaim');
  const comm = 'reads-cached';
  const generator = await Generator.act(['--comm', comm, '--cgroup', memory!.directory, 'cached', read, file]);
  const { ns } = await generator.run();
  await generator.end();
  const spent = BigInt(ns[0]!);
  const times = sumOf(labelled(probe, 'reclaim'), { comm, shortage: 'cgroup' });
  const pages = sumOf(labelled(probe, 'reclaimed_pages'), { comm, shortage: 'cgroup' }).count;
  const left = memory!.pagesLeft();
  t.diagnostic(`${times.count} times, ${times.sum} of ${spent} ns, ${pages} pages; ${left} left the cgroup`);
  assert.ok(times.count > 10n && times.sum > 0n && times.sum < spent);
  // 96 MiB of pages went through a cgroup that holds 16.
  assert.ok(pages >= BigInt(read - 16 * 256) && pages <= BigInt(read), `${pages} pages`);
  assert.ok(pages <= left, `${pages} pages, ${left} left the cgroup`);
});

test('a process killed for want of memory is counted once, by its name', (t) => {
  if (!requireBpf(t)) return;
  const memory = memoryCgroup(t, 16 * mebibyte);
  if (!requireOrSkip(t, 'the memory controller', memory !== undefined)) return;
  const probe = loadProbe(t, 'oom_kills');
  const acts = join(checkout, 'build/test/acts');
  for (let i = 0; i < 3; i++) {
    const script = `echo 0 > ${memory!.directory}/cgroup.procs; exec ${acts} --comm wants-memory touches 64`;
    const { signal } = spawnSync('/bin/sh', ['-c', script], { input: 'go\n', stdio: ['pipe', 'ignore', 'ignore'] });
    assert.equal(signal, 'SIGKILL');
  }
  assert.equal(memory!.kills(), 3n, 'the kernel’s own account');
  assert.equal(sumOf(labelled(probe, 'oom_kills'), { comm: 'wants-memory' }).count, 3n);
  expectBalanced(probe);
});
