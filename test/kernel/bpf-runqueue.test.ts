/** The runqueue probe against the kernel's own account of the same waits, /proc/PID/task/TID/schedstat. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { bucketLower, bucketUpper } from '../../services/shared/algebra/histogram.ts';
import type { LoadedProbe } from './probe.ts';
import { commWords, loadProbe, ownCgroup, requireBpf, total } from './probe.ts';
import { Generator } from './generator.ts';

interface Waits {
  count: bigint;
  sumNs: bigint;
}

/** What the histogram holds under a name; also checks that each bucket's sum can come from its count. */
function counted(probe: LoadedProbe, comm: string): Waits {
  const [low, high] = commWords(comm);
  const waits: Waits = { count: 0n, sumNs: 0n };
  for (const { key, values } of probe.read().rows) {
    if (key[2] !== low || key[3] !== high) continue;
    const [count, sum] = values as [bigint, bigint];
    const bucket = Number(key[4]);
    assert.ok(
      sum >= count * bucketLower(bucket) && sum <= count * bucketUpper(bucket),
      `bucket ${bucket}: ${count} with sum ${sum}`,
    );
    waits.count += count;
    waits.sumNs += sum;
  }
  return waits;
}

/** "run-time run-delay times-run" of threads that sleep, added up. Source: kernel/sched/stats.h, proc/base.c. */
function accounted(pid: number, tids: readonly number[]): Waits {
  const waits: Waits = { count: 0n, sumNs: 0n };
  for (const tid of tids) {
    const [, delay, count] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').trim().split(' ').map(BigInt);
    waits.count += count!;
    waits.sumNs += delay!;
  }
  return waits;
}

/**
 * Equal, except for switches at which the kernel did not run the tracepoint at all: sandboxes hide the threads of
 * their own supervisor from tracing, and with them the switch from such a thread to one of ours. Its wait then joins
 * the thread's next one, so that only the number falls short, and the sum only if that was the thread's last.
 */
function expectEqual(ours: Waits, kernels: Waits): void {
  const hidden = kernels.count - ours.count;
  assert.ok(hidden >= 0n && hidden * 50n <= kernels.count, `${hidden} of ${kernels.count} waits are missing`);
  if (hidden === 0n) assert.equal(ours.sumNs, kernels.sumNs);
  else
    assert.ok(
      ours.sumNs <= kernels.sumNs && (kernels.sumNs - ours.sumNs) * 100n <= kernels.sumNs,
      'the sums agree to 1 %',
    );
}

const cases = [
  { name: 'on one CPU', comm: 'waits-pinned', args: ['--threads', 4, '--pin', 0, '--call', 'yield', '--calls', 5000] },
  { name: 'sleeping and waking', comm: 'waits-nap', args: ['--threads', 6, '--call', 'nap', '--calls', 200] },
  // More threads than CPUs, none pinned: the scheduler moves some of them while they wait, so that a wait has parts.
  { name: 'moved between CPUs', comm: 'waits-moved', args: ['--threads', 5, '--call', 'spin', '--calls', 2500] },
] as const;

for (const { name, comm, args } of cases) {
  test(`waits of threads ${name} agree with schedstat to the nanosecond`, async (t) => {
    if (!requireBpf(t)) return;
    const { directory, scope } = ownCgroup(t);
    const probe = loadProbe(t, 'runqueue', { scope });
    const generator = await Generator.start([...args, '--comm', comm, '--cgroup', directory]);
    const tids = readTids(generator.pid);
    const before = { counted: counted(probe, comm), accounted: accounted(generator.pid, tids) };
    await generator.run();
    const after = { counted: counted(probe, comm), accounted: accounted(generator.pid, tids) };
    const contents = probe.read();
    await generator.end();
    const difference = (a: Waits, b: Waits): Waits => ({ count: b.count - a.count, sumNs: b.sumNs - a.sumNs });
    const ours = difference(before.counted, after.counted);
    const kernels = difference(before.accounted, after.accounted);
    t.diagnostic(`${ours.count} waits, ${ours.sumNs} ns; schedstat ${kernels.count}, ${kernels.sumNs} ns`);
    assert.ok(kernels.count > 100n, 'there were waits');
    expectEqual(ours, kernels);
    assert.equal(total(contents), contents.seen);
  });
}

/** The threads that do the calls: all but the first, which is the process's own. */
function readTids(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .filter((tid) => tid !== pid);
}
