/** cpu_profile: samples of threads that do nothing but run, against the time that the kernel accounts to them. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { StackNames } from '../../services/loader/adapters/stack-names.ts';
import { Symbols } from '../../services/loader/adapters/symbols.ts';
import { readStack, stackBytes, stackText } from '../../services/loader/object/stack.ts';
import { onlineCpus } from '../../services/shared/adapters/perf-events.ts';
import { secondsOfWindow } from '../../services/shared/contract/seconds.ts';
import { Generator } from './generator.ts';
import { expectBalanced, labelled, sumOf } from './labelled.ts';
import { commText, loadProbe, ownCgroup, requireBpf } from './probe.ts';

const perfEvents = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[perf_event]';
    } catch {
      return false;
    }
  }).length;

test('samples add up to the time on a CPU, each at its period, and stand below the function that ran', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'cpu_profile', { scope });
  assert.equal(perfEvents(), 0, 'only the pinned links keep the events');
  assert.equal(readdirSync(probe.directory).filter((name) => name.startsWith('link-')).length, onlineCpus().length);
  assert.equal(probe.meta.programs[0]!.skipsCounted, false);
  const generator = await Generator.start([
    ...['--threads', 2, '--call', 'spin', '--calls', 8000, '--comm', 'burns', '--cgroup', directory],
  ]);
  await generator.run();
  const onCpu = readdirSync(`/proc/${generator.pid}/task`)
    .filter((tid) => Number(tid) !== generator.pid)
    .reduce(
      (ns, tid) => ns + BigInt(readFileSync(`/proc/${generator.pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]!),
      0n,
    );
  const rows = labelled(probe, 'cpu_profile').filter((r) => r.labels['comm'] === 'burns');
  const ns = rows.reduce((sum, r) => sum + r.count, 0n);
  const samples = sumOf(labelled(probe, 'cpu_samples'), { comm: 'burns' }).count;
  t.diagnostic(`${samples} samples, ${ns} ns of ${onCpu} ns on a CPU`);
  assert.ok(onCpu > 200_000_000n, 'there was work');
  assert.equal(ns, samples * 20_408_163n, 'each sample counts its period');
  // Samples are no exact account: 49 a second, less where the kernel skipped some.
  assert.ok(ns > onCpu / 2n && ns < onCpu * 2n, `${ns} of ${onCpu}`);
  const ids = [...new Set(rows.map((r) => r.labels['stack']!))];
  const names = new StackNames(new Symbols(), { stackBytes, readStack, stackText });
  const texts = names.texts(join(probe.directory, 'stacks'), ids, performance.now());
  t.diagnostic(String(texts.find((text) => text !== null)));
  assert.ok(texts.some((text) => text !== null && text.length > 0));
  await generator.end();
  expectBalanced(probe);
});

test('at another rate each sample counts another period, and the hook tells the rate', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'cpu_profile', { scope, profileHz: 99 });
  assert.deepEqual(
    probe.meta.programs.map((p) => p.hook),
    ['perf_event/99hz'],
  );
  const generator = await Generator.start([
    ...['--threads', 1, '--call', 'spin', '--calls', 4000, '--comm', 'burns', '--cgroup', directory],
  ]);
  await generator.run();
  await generator.end();
  const { count: samples } = sumOf(labelled(probe, 'cpu_samples'), { comm: 'burns' });
  assert.ok(samples > 0n);
  assert.equal(sumOf(labelled(probe, 'cpu_profile'), { comm: 'burns' }).count, samples * 10_101_010n);
  expectBalanced(probe);
});

test('each sample stands in the second in which it was taken, and the seconds of a row are its sum', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'cpu_profile', { scope });
  /** Unix seconds of each of two burns; none is between them. */
  const burns: number[][] = [];
  for (let i = 0; i < 2; i++) {
    const generator = await Generator.start([
      ...['--threads', 1, '--call', 'spin', '--calls', 4000, '--comm', 'burns', '--cgroup', directory],
    ]);
    const from = Math.floor(Date.now() / 1000);
    await generator.run();
    const to = Math.floor(Date.now() / 1000);
    burns.push(Array.from({ length: to - from + 1 }, (_, s) => from + s));
    await generator.end();
    await sleep(2000);
  }
  const { rows } = probe.read();
  const burnt = rows.filter((r) => commText(r.key[2]!, r.key[3]!) === 'burns');
  const seconds = new Array<bigint>(secondsOfWindow).fill(0n);
  for (const { values } of rows) {
    const [sum, ...ten] = values as [bigint, ...bigint[]];
    assert.equal(ten.length, secondsOfWindow);
    assert.equal(
      ten.reduce((a, b) => a + b, 0n),
      sum,
    );
  }
  for (const { values } of burnt) values.slice(1).forEach((ns, s) => (seconds[s]! += ns));
  const expected = new Set(burns.flat().map((s) => s % secondsOfWindow));
  t.diagnostic(`${seconds.join()} in ${[...expected].join()}`);
  assert.ok(seconds.some((ns) => ns > 0n));
  seconds.forEach((ns, s) => assert.ok(ns === 0n || expected.has(s), `${ns} ns in second ${s}`));
  for (const of of burns)
    assert.ok(
      of.some((s) => seconds[s % secondsOfWindow]! > 0n),
      'each of the two is seen',
    );
  expectBalanced(probe);
});
