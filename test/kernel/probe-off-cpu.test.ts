/** off_cpu: time off a CPU against the thread's own account, and the stacks that led there by name, as the keeper gives them. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StackNames } from '../../services/loader/adapters/stack-names.ts';
import { Symbols } from '../../services/loader/adapters/symbols.ts';
import { readStack, stackBytes, stackText } from '../../services/loader/object/stack.ts';
import { Generator } from './generator.ts';
import { expectBalanced, labelled, sumOf } from './labelled.ts';
import { loadProbe, ownCgroup, requireBpf } from './probe.ts';

/** Of the threads that sleep: ns on a CPU, and ns that they waited for one. */
function accounted(pid: number): bigint {
  let sum = 0n;
  for (const tid of readdirSync(`/proc/${pid}/task`))
    if (Number(tid) !== pid) sum += BigInt(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]!);
  return sum;
}

test('time off a CPU and time on one make the whole; naps are found under the calls that led to them', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'off_cpu', { scope });
  const threads = 2;
  const naps = 300;
  const args = ['--threads', threads, '--call', 'nap', '--calls', naps, '--comm', 'sleeps', '--cgroup', directory];
  const generator = await Generator.start(args);
  const of = (): bigint => sumOf(labelled(probe, 'off_cpu'), { comm: 'sleeps' }).count;
  const before = { off: of(), on: accounted(generator.pid), at: process.hrtime.bigint() };
  await generator.run();
  const rows = labelled(probe, 'off_cpu').filter((r) => r.labels['comm'] === 'sleeps');
  const off = of() - before.off;
  const wall = (process.hrtime.bigint() - before.at) * BigInt(threads);
  const on = accounted(generator.pid) - before.on;
  t.diagnostic(`${off} ns off, ${on} ns on, ${wall} ns of the clock`);
  assert.ok(off >= BigInt(threads * naps) * 1_000_000n, 'every nap is in it');
  // The wait at the gate began before and is in it as well, so that this is no bound from above without its row.
  const ids = [...new Set(rows.map((r) => r.labels['stack']!))];
  assert.ok(
    ids.every((id) => id !== '[unknown]'),
    'every switch has a stack',
  );
  const names = new StackNames(new Symbols(), { stackBytes, readStack, stackText });
  const texts = names.texts(join(probe.directory, 'stacks'), ids, performance.now());
  const asleep = rows.filter((r) => /nanosleep/.test(texts[ids.indexOf(r.labels['stack']!)] ?? ''));
  const slept = asleep.reduce((sum, r) => sum + r.count, 0n);
  t.diagnostic(String(texts.find((text) => text?.includes('nanosleep'))));
  assert.ok(slept >= BigInt(threads * naps) * 1_000_000n, `${slept} ns below nanosleep`);
  assert.ok(slept <= wall, `${slept} ns below nanosleep, of ${wall} ns that passed`);
  assert.ok(slept + on <= wall + wall / 100n, 'asleep and on a CPU is no more than there was');
  assert.ok(asleep.every((r) => ['sleeping', 'running'].includes(r.labels['state']!)));
  await generator.end();
  expectBalanced(probe);
});

test('a stack that is not known has no text', (t) => {
  if (!requireBpf(t)) return;
  const probe = loadProbe(t, 'off_cpu', { scope: ownCgroup(t).scope });
  const names = new StackNames(new Symbols(), { stackBytes, readStack, stackText });
  assert.deepEqual(names.texts(join(probe.directory, 'stacks'), ['1', '77'], 0), [null, null]);
  assert.deepEqual(names.texts(join(probe.directory, 'no-such-pin'), ['1'], 0), [null]);
});
