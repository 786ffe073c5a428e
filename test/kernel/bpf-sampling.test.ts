/**
 * Sampled labels in the real kernel: totals stay exact to the last event, what no row holds is accounted for, and rows
 * are within their bound, though the load has a rhythm that fits the blocks and the level changes all the while.
 */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { createPinnedTables } from '../../services/shared/adapters/libbpf-pinned-tables.ts';
import { samplingBound } from '../../services/shared/algebra/sampling.ts';
import { decodeControl, encodeControl } from '../../services/shared/contract/control.ts';
import { Generator } from './generator.ts';
import { commWords, govern, loadProbe, ownCgroup, requireBpf, total, type Contents } from './probe.ts';

const [low, high] = commWords('sampled');
const load = (directory: string, keys: number, calls: number): Promise<Generator> =>
  Generator.start(
    ['--threads', 2, '--pin', 0, '--spread', '--call', 'number', '--keys', keys, '--calls', calls].concat([
      '--comm',
      'sampled',
      '--cgroup',
      directory,
    ]),
  );

test('one in 16 is attributed, of a load that repeats each 16 events', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope });
  govern(probe, { level: 4 });
  const keys = 16;
  const calls = 160_000;
  const generator = await load(directory, keys, calls);
  const before = probe.read();
  await generator.run();
  const after = probe.read();
  await generator.end();
  const [seen, given, , , weightMax] = after.sampled;
  assert.equal(total(after), after.seen + given!, 'every cell is accounted for');
  assert.equal(weightMax, 16n);
  // The threads wait at their gate within this cgroup: some calls more than the load, and never fewer.
  const counted = after.seen + seen! - (before.seen + before.sampled[0]!);
  assert.ok(counted >= BigInt(2 * calls) && counted < BigInt(2 * calls + 1000), String(counted));
  const pending = Number(seen! - given!);
  assert.ok(Math.abs(pending) < 16 * probe.meta.cpus, `pending ${pending}`);
  assert.equal(after.seen, 0n, 'nothing was counted in full');
  const truth = (2 * calls) / keys;
  for (let i = 0; i < keys; i++) {
    const row = after.rows.find((r) => r.key[2] === BigInt(1000 + i) && r.key[3] === low && r.key[4] === high);
    const value = Number(row?.values[0] ?? 0n);
    const bound = samplingBound(15 * value, 16);
    assert.ok(Math.abs(value - truth) <= bound, `key ${i}: ${value} of ${truth}, bound ${bound}`);
    assert.ok(bound < truth / 5, 'and the bound says something');
  }
});

test('what was sampled before the first pick, and before the first of a higher level, bears its doubt', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope });
  // So high that nothing is picked, but for one in a million runs of this test.
  for (const level of [36, 40]) {
    govern(probe, { level });
    const [was] = probe.read().sampled;
    const generator = await load(directory, 4, 1000);
    await generator.run();
    await generator.end();
    const [seen, given, , , weightMax] = probe.read().sampled;
    assert.ok(seen! - was! >= 2000n);
    assert.equal(given, 0n);
    assert.equal(weightMax, 2n ** BigInt(level));
  }
});

test('the level goes up and down, and generations end, under load: nothing is lost and nothing counted twice', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope, rows: 2048 });
  const pins = createPinnedTables(dirname(dirname(probe.directory)));
  const keys = 10;
  const calls = 600_000;
  const generator = await load(directory, keys, calls);
  let running = true;
  let [all, given, variance] = [0n, 0n, 0];
  const counted = new Map<bigint, bigint>();
  const fold = (contents: Contents): void => {
    assert.equal(total(contents), contents.seen + contents.sampled[1]!);
    all += contents.seen + contents.sampled[0]!;
    given += contents.sampled[1]!;
    variance += (Number(contents.sampled[4]) - 1) * Number(contents.sampled[1]);
    for (const { key, values } of contents.rows)
      if (key[3] === low && key[4] === high) counted.set(key[2]!, (counted.get(key[2]!) ?? 0n) + values[0]!);
  };
  fold(probe.read());
  const before = all;
  [all, given, variance] = [0n, 0n, 0];
  counted.clear();
  const done = generator.run().finally(() => {
    running = false;
  });
  let generations = 0;
  let levels = 0;
  const first = probe.read();
  while (running || generations < 12) {
    govern(probe, { level: [3, 0, 6, 1][levels++ % 4]! }, [levels % 3]);
    if (levels % 3 !== 0) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      continue;
    }
    const { slot, generation } = decodeControl(probe.lineage.readControl())!;
    const next = slot === 0 ? 1 : 0;
    probe.lineage.writeControl(encodeControl({ slot: next, state: 'sealing', generation: generation + 1n }));
    await pins.gracePeriod();
    fold(probe.read(slot));
    probe.lineage.clearSlot(0, slot);
    assert.ok(probe.lineage.slotEmpty(0, slot), 'a cleared slot has no account of sampling left');
    generations++;
  }
  await done;
  fold(probe.read());
  await generator.end();
  assert.ok(first.seen >= 0n);
  assert.ok(given > 0n, 'something was sampled');
  assert.ok(all - before >= BigInt(2 * calls) && all - before < BigInt(2 * calls + 2000), `${all} after ${before}`);
  const bound = samplingBound(variance, 256);
  for (let i = 0; i < keys; i++) {
    const value = Number(counted.get(BigInt(1000 + i)) ?? 0n);
    assert.ok(Math.abs(value - (2 * calls) / keys) <= bound, `key ${i}: ${value}, bound ${bound}`);
  }
  t.diagnostic(`${generations} generations, ${levels} levels, ${given} of ${all} sampled`);
});
