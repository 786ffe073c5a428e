/** Slots take turns under load: what is sealed balances to the last event, a cleared slot is empty, nothing is lost. */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { createPinnedTables } from '../../services/shared/adapters/libbpf-pinned-tables.ts';
import { decodeControl, encodeControl } from '../../services/shared/contract/control.ts';
import type { Contents } from './probe.ts';
import { commWords, loadProbe, ownCgroup, requireBpf, total } from './probe.ts';
import { Generator } from './generator.ts';

test('twenty generations under two counting CPUs hold every event once, each under its key', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope, rows: 2048 });
  const pins = createPinnedTables(dirname(dirname(probe.directory)));
  const keys = 500;
  const calls = 750_000;
  const generator = await Generator.start([
    '--threads',
    2,
    '--pin',
    0,
    '--spread',
    '--call',
    'number',
    '--keys',
    keys,
    '--calls',
    calls,
    '--comm',
    'slots',
    '--cgroup',
    directory,
  ]);
  const counted = new Map<bigint, bigint>();
  const [low, high] = commWords('slots');
  const fold = (contents: Contents): void => {
    assert.equal(total(contents), contents.seen);
    assert.equal(contents.overflow[0], 0n);
    for (const { key, values } of contents.rows) {
      if (key[3] === low && key[4] === high) counted.set(key[2]!, (counted.get(key[2]!) ?? 0n) + values[0]!);
    }
  };
  let running = true;
  const done = generator.run().finally(() => {
    running = false;
  });
  let generations = 0;
  while (running || generations < 20) {
    const { slot, generation } = decodeControl(probe.lineage.readControl())!;
    probe.lineage.writeControl(
      encodeControl({ slot: slot === 0 ? 1 : 0, state: 'sealing', generation: generation + 1n }),
    );
    await pins.gracePeriod();
    fold(probe.read(slot));
    probe.lineage.clearSlot(0, slot);
    assert.ok(probe.lineage.slotEmpty(0, slot), `slot ${slot} is empty once cleared`);
    generations++;
  }
  await done;
  fold(probe.read());
  await generator.end();
  t.diagnostic(`${generations} generations`);
  for (let i = 0; i < keys; i++)
    assert.equal(counted.get(BigInt(1000 + i)), BigInt((2 * calls) / keys), `key ${1000 + i}`);
});
