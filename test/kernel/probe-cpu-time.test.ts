/** cpu_time and context_switches against the kernel's own account: /proc/PID/task/TID/schedstat and status. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Generator } from './generator.ts';
import { expectBalanced, labelled, sumOf } from './labelled.ts';
import { loadProbe, ownCgroup, requireBpf, type LoadedProbe } from './probe.ts';

interface Account {
  ns: bigint;
  blocked: bigint;
  preempted: bigint;
}

const counted = (probe: LoadedProbe, comm: string): Account => ({
  ns: sumOf(labelled(probe, 'cpu_time'), { comm }).count,
  blocked: sumOf(labelled(probe, 'context_switches'), { comm, left: 'blocked' }).count,
  preempted: sumOf(labelled(probe, 'context_switches'), { comm, left: 'preempted' }).count,
});

/** Of threads that sleep, added up. */
function accounted(pid: number): Account {
  const sum: Account = { ns: 0n, blocked: 0n, preempted: 0n };
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    if (Number(tid) === pid) continue;
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
    sum.ns += BigInt(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]!);
    sum.blocked += BigInt(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)![1]!);
    sum.preempted += BigInt(/^nonvoluntary_ctxt_switches:\s*(\d+)/m.exec(status)![1]!);
  }
  return sum;
}

const cases = [
  { name: 'on one CPU', comm: 'runs-pinned', args: ['--threads', 4, '--pin', 0, '--call', 'yield', '--calls', 3000] },
  { name: 'sleeping and waking', comm: 'runs-nap', args: ['--threads', 6, '--call', 'nap', '--calls', 200] },
  { name: 'busy, more than CPUs', comm: 'runs-busy', args: ['--threads', 5, '--call', 'spin', '--calls', 1500] },
] as const;

for (const { name, comm, args } of cases) {
  test(`time and switches of threads ${name} agree with the kernel's account`, async (t) => {
    if (!requireBpf(t)) return;
    const { directory, scope } = ownCgroup(t);
    const probe = loadProbe(t, 'cpu_time', { scope });
    const generator = await Generator.start([...args, '--comm', comm, '--cgroup', directory]);
    const before = { counted: counted(probe, comm), accounted: accounted(generator.pid) };
    await generator.run();
    const after = { counted: counted(probe, comm), accounted: accounted(generator.pid) };
    await generator.end();
    const ours = difference(before.counted, after.counted);
    const kernels = difference(before.accounted, after.accounted);
    t.diagnostic(
      `${ours.ns} ns of ${kernels.ns}, ${ours.blocked} + ${ours.preempted} switches of ${kernels.blocked} + ${kernels.preempted}`,
    );
    assert.ok(kernels.ns > 1_000_000n, 'there was work');
    // Some sandboxes hide the switches of their supervisor's threads: such a span joins the thread's next one.
    const hidden = kernels.blocked + kernels.preempted - ours.blocked - ours.preempted;
    assert.ok(hidden >= 0n && hidden * 50n <= kernels.blocked + kernels.preempted, `${hidden} switches are missing`);
    if (hidden === 0n) assert.deepEqual(ours, kernels);
    else assert.ok(ours.ns <= kernels.ns && (kernels.ns - ours.ns) * 100n <= kernels.ns, 'the times agree to 1 %');
    expectBalanced(probe);
  });
}

const difference = (a: Account, b: Account): Account => ({
  ns: b.ns - a.ns,
  blocked: b.blocked - a.blocked,
  preempted: b.preempted - a.preempted,
});

test('the whole life of a short process is counted, from its first span to its last', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'cpu_time', { scope });
  const generator = await Generator.act(['--comm', 'short-lived', '--cgroup', directory, 'forks', 50, 0]);
  const usage = (): bigint => BigInt(readFileSync(`/proc/${generator.pid}/schedstat`, 'utf8').split(' ')[0]!);
  const own = { before: usage(), ours: counted(probe, 'short-lived') };
  await generator.run();
  const ours = difference(own.ours, counted(probe, 'short-lived'));
  const parent = usage() - own.before;
  await generator.end();
  t.diagnostic(`${ours.ns} ns, ${parent} of them the parent's; ${ours.blocked} + ${ours.preempted} switches`);
  assert.ok(ours.ns > parent, 'the children have run too');
  assert.ok(ours.blocked >= 50n, 'each child left once for good');
  expectBalanced(probe);
});
