/** syscall_errors and syscall_latency: known numbers of calls, of known outcome and length. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generate } from './generator.ts';
import { expectBalanced, labelled, sumOf } from './labelled.ts';
import { loadProbe, ownCgroup, requireBpf } from './probe.ts';

test('calls that do not exist fail with ENOSYS, each counted; those that succeed are not', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscall_errors', { scope });
  const args = ['--threads', 2, '--comm', 'fails', '--cgroup', directory];
  await generate([...args, '--call', 'number', '--first', 1000, '--keys', 3, '--calls', 3000]);
  await generate([...args, '--call', 'getppid', '--calls', 1000]);
  const rows = labelled(probe, 'syscall_errors');
  for (const syscall of ['syscall_1000', 'syscall_1001', 'syscall_1002'])
    assert.equal(sumOf(rows, { syscall, errno: 'ENOSYS', comm: 'fails' }).count, 2000n);
  assert.equal(sumOf(rows, { comm: 'fails', errno: 'ENOSYS' }).count, 6000n);
  assert.equal(sumOf(rows, { syscall: 'getppid' }).count, 0n);
  expectBalanced(probe);
});

test('times of calls: as many as were made, and as long as they slept', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscall_latency', { scope });
  const args = ['--threads', 2, '--cgroup', directory];
  await generate([...args, '--comm', 'naps', '--call', 'nap', '--calls', 200]);
  const { ns } = await generate([...args, '--comm', 'asks', '--call', 'getppid', '--calls', 5000]);
  const rows = labelled(probe, 'syscall_latency');
  const naps = sumOf(rows, { comm: 'naps', syscall: 'clock_nanosleep' });
  const asks = sumOf(rows, { comm: 'asks', syscall: 'getppid' });
  t.diagnostic(`${naps.sum / naps.count} ns a nap of 1 ms, ${asks.sum / asks.count} ns a getppid`);
  assert.equal(naps.count, 400n);
  assert.ok(naps.sum >= 400n * 1_000_000n, 'none is shorter than it slept');
  assert.equal(asks.count, 10_000n);
  // What passes between its two hooks is within what the thread saw; the faster one saw this.
  assert.ok(asks.sum > 0n && asks.sum / 10_000n <= BigInt(ns[0]!) / 1000n, `${asks.sum} ns in all`);
  expectBalanced(probe);
});
