/** Cells past 2^32: counted across the carry while a reader copies, and never seen torn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapPinned } from '../../services/shared/adapters/libbpf-pinned-slot.ts';
import { commWords, loadProbe, ownCgroup, requireBpf, total } from './probe.ts';
import { Generator } from './generator.ts';

const getppid = 110n;
const carry = 1n << 32n;

test('a cell that crosses 2^32 while it is read never shows a torn value', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope });
  const calls = 400_000;
  const args = ['--pin', 0, '--comm', 'carry', '--cgroup', directory];
  const first = await Generator.start([...args, '--calls', 1]);
  await first.run();
  await first.end();
  const [low, high] = commWords('carry');
  const find = () => probe.read().rows.find((r) => r.key[2] === getppid && r.key[3] === low && r.key[4] === high)!;
  const { row } = find();

  // Half of the calls below the carry, half above. Nothing counts in this scope at the moment.
  const start = carry - BigInt(calls / 2);
  const { rows, valueCount } = probe.meta.tables[0]!;
  const cells = mapPinned(probe.directory, 'syscalls-cells-0', probe.meta.cpus * (rows + 1) * valueCount * 8);
  const ledger = mapPinned(probe.directory, 'syscalls-ledger-0', probe.meta.cpus * 64);
  cells.words[row] = start;
  ledger.words[0]! += start - 1n;
  cells.unmap();
  ledger.unmap();

  const generator = await Generator.start([...args, '--calls', calls]);
  let running = true;
  let reads = 0;
  let between = 0;
  let last = start;
  const done = generator.run().finally(() => {
    running = false;
  });
  while (running) {
    for (let i = 0; i < 20; i++) {
      const value = find().values[0]!;
      assert.ok(value >= last && value <= start + BigInt(calls), `read ${value} after ${last}`);
      if (value > last) between++;
      last = value;
      reads++;
    }
    await new Promise(setImmediate);
  }
  await done;
  const contents = probe.read();
  await generator.end();
  assert.equal(find().values[0], start + BigInt(calls));
  assert.equal(total(contents), contents.seen);
  t.diagnostic(`${reads} reads, ${between} of them of a new value`);
  assert.ok(between > 10, 'it was read while it counted');
});
