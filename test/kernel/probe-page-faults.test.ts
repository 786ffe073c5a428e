/** page_faults: as many as pages were touched, and as the kernel's own account says (getrusage, in /proc/PID/stat). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Generator } from './generator.ts';
import { expectBalanced, labelled, sumOf } from './labelled.ts';
import { loadProbe, ownCgroup, requireBpf } from './probe.ts';

/** minflt + majflt of a process; proc(5), fields 10 and 12. */
function faults(pid: number): bigint {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return BigInt(fields[7]!) + BigInt(fields[9]!);
}

test('each fresh page is one fault for writing', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'page_faults', { scope });
  const comm = 'touches-pages';
  const count = (labels: Record<string, string>): bigint =>
    sumOf(labelled(probe, 'page_faults'), { comm, ...labels }).count;
  const generator = await Generator.act(['--comm', comm, '--cgroup', directory, 'faults', 5000]);
  const before = { all: count({}), write: count({ access: 'write' }), kernels: faults(generator.pid) };
  await generator.run();
  const all = count({}) - before.all;
  const write = count({ access: 'write' }) - before.write;
  const kernels = faults(generator.pid) - before.kernels;
  await generator.end();
  t.diagnostic(`${write} for writing, ${all} in all; the kernel has ${kernels}`);
  // Some more for code and stack that run for the first time; those of the kernel on its behalf are not ours.
  assert.ok(write >= 5000n && write <= 5020n, `${write} faults for writing`);
  assert.ok(all <= kernels + 2n && all + 20n >= kernels, `${all}, the kernel has ${kernels}`);
  expectBalanced(probe);
});
