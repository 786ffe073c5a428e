/** softirq and hardirq against /proc/softirqs and /proc/interrupts, which the kernel counts by itself. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Generator } from './generator.ts';
import { labelled, type Labelled } from './labelled.ts';
import { loadProbe, requireBpf } from './probe.ts';
import { requireOrSkip } from '../require.ts';

/** Sums over the CPUs of the lines of /proc/softirqs, or of the handlers of /proc/interrupts, by name. */
function kernels(file: 'softirqs' | 'interrupts'): Map<string, bigint> {
  const [head, ...lines] = readFileSync(`/proc/${file}`, 'utf8').trimEnd().split('\n');
  const cpus = head!.trim().split(/\s+/).length;
  const sums = new Map<string, bigint>();
  for (const line of lines) {
    const [id, ...fields] = line.trim().split(/\s+/);
    if (file === 'interrupts' && !/^\d+:$/.test(id!)) continue;
    const name = file === 'softirqs' ? id!.slice(0, -1) : fields.at(-1)!.slice(0, 31);
    const count = fields.slice(0, cpus).reduce((sum, n) => sum + BigInt(n), 0n);
    sums.set(name, (sums.get(name) ?? 0n) + count);
  }
  return sums;
}

const ours = (rows: readonly Labelled[], label: string): Map<string, bigint> =>
  new Map(rows.map((row) => [row.labels[label]!, row.count]));

/** From the first to the second reading. */
const grown = (from: ReadonlyMap<string, bigint>, to: ReadonlyMap<string, bigint>, name: string): bigint =>
  (to.get(name) ?? 0n) - (from.get(name) ?? 0n);

/**
 * Each reading takes time in which counts grow, so the kernel's is read inside of ours and then around it: the first
 * difference bounds ours from below, the second from above. One handler a CPU may be running at each reading.
 */
async function compare(
  t: TestContext,
  file: 'softirqs' | 'interrupts',
  read: () => ReadonlyMap<string, bigint>,
  load: () => Promise<void> | void,
): Promise<Map<string, bigint>> {
  const outerKernel = kernels(file);
  const outerOurs = read();
  const innerKernel = kernels(file);
  await load();
  const innerKernelEnd = kernels(file);
  const outerOursEnd = read();
  const outerKernelEnd = kernels(file);
  const running = BigInt(availableParallelism());
  const counted = new Map<string, bigint>();
  for (const name of innerKernel.keys()) {
    const low = grown(innerKernel, innerKernelEnd, name);
    const high = grown(outerKernel, outerKernelEnd, name);
    const mine = grown(outerOurs, outerOursEnd, name);
    if (low > 0n) t.diagnostic(`${name}: ${mine}, the kernel has ${low} to ${high}`);
    assert.ok(mine >= low - running && mine <= high + running, `${name}: ${mine}, the kernel has ${low} to ${high}`);
    counted.set(name, mine);
  }
  return counted;
}

test('softirqs by vector are those of /proc/softirqs', async (t) => {
  if (!requireBpf(t)) return;
  const probe = loadProbe(t, 'softirq');
  const read = (): ReadonlyMap<string, bigint> => ours(labelled(probe, 'softirq'), 'vector');
  const counted = await compare(t, 'softirqs', read, async () => {
    const generator = await Generator.act(['udp', 3000, 9]);
    await generator.run();
    await generator.end();
  });
  // Each datagram over the loopback is received in one; several may share one.
  assert.ok(counted.get('NET_RX')! >= 1000n, 'the datagrams were received');
  const time = labelled(probe, 'softirq').reduce((sum, row) => sum + row.sum, 0n);
  const spent = labelled(probe, 'softirq').reduce((sum, row) => sum + row.count, 0n);
  t.diagnostic(`${time / spent} ns a handler`);
  assert.ok(time / spent > 50n && time / spent < 1_000_000n, 'the times are those of handlers');
});

test('interrupts by name are those of /proc/interrupts', async (t) => {
  if (!requireBpf(t)) return;
  const directory = mkdtempSync(join(tmpdir(), 'muster-irq-'));
  t.after(() => {
    rmSync(directory, { recursive: true });
  });
  const probe = loadProbe(t, 'hardirq');
  const read = (): ReadonlyMap<string, bigint> => ours(labelled(probe, 'hardirq'), 'irq');
  const counted = await compare(t, 'interrupts', read, () => {
    const file = join(directory, 'data');
    execFileSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=4096', 'count=300', 'oflag=dsync'], { stdio: 'ignore' });
  });
  const all = [...counted.values()].reduce((sum, n) => sum + n, 0n);
  // A machine whose temporary folder is in memory need not have any.
  if (!requireOrSkip(t, 'a disk that interrupts', all >= 100n)) return;
  assert.ok(
    [...counted.keys()].some((name) => counted.get(name)! >= 100n),
    'the disk is named',
  );
});
