/** The counting protocol in the real kernel: every event once, under its own key, or visibly without one. */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { keyMark } from '../../services/shared/contract/key-mark.ts';
import type { Contents } from './probe.ts';
import { commText, commWords, loadProbe, ownCgroup, requireBpf, total } from './probe.ts';
import { Generator, generate } from './generator.ts';

const getppid = 110n;
const number = { first: 1000 };

/** Count of a key, which may have several rows when two CPUs raced for it. */
function countOf(c: Contents, syscall: bigint, comm: string): bigint {
  const [low, high] = commWords(comm);
  return c.rows
    .filter((r) => r.key[2] === syscall && r.key[3] === low && r.key[4] === high)
    .reduce((sum, r) => sum + r.values[0]!, 0n);
}

const balanced = (c: Contents): void => {
  assert.equal(total(c), c.seen, 'seen = rows + overflow');
  assert.equal(
    c.overflow[0],
    c.failed.reduce((a, b) => a + b, 0n),
    'each event without a row has a reason',
  );
};

test('two threads of one name are counted exactly, and nothing outside the scope is', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope });
  const outside = await Generator.start(['--calls', 1000, '--comm', 'outside']);
  const inside = await Generator.start([
    '--threads',
    2,
    '--calls',
    100_000,
    '--comm',
    'counted',
    '--cgroup',
    directory,
  ]);
  await outside.run();
  await inside.run();
  const contents = probe.read();
  await Promise.all([inside.end(), outside.end()]);
  assert.equal(countOf(contents, getppid, 'counted'), 200_000n);
  assert.equal(countOf(contents, getppid, 'outside'), 0n);
  balanced(contents);
});

test('a task is counted under the name it has at the call', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope });
  await generate(['--calls', 6000, '--names', 300, '--comm', 'name', '--cgroup', directory]);
  const contents = probe.read();
  for (let i = 0; i < 300; i++) assert.equal(countOf(contents, getppid, `name-${i}`), 20n, `name-${i}`);
  balanced(contents);
});

test('the caller is told right where processes are short, share CPUs and inherit stacks', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope });
  for (let round = 0; round < 5; round++) {
    const processes = Array.from({ length: 10 }, (_, i) =>
      generate(['--threads', 3, '--calls', 500, '--comm', `short-${round}-${i}`, '--pin', 0, '--cgroup', directory]),
    );
    await Promise.all(processes);
  }
  const contents = probe.read();
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 10; i++) assert.equal(countOf(contents, getppid, `short-${round}-${i}`), 1500n);
  }
  balanced(contents);
});

test('threads that share a CPU and yield to each other keep their counts apart', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope });
  const names = ['yield-a', 'yield-b', 'yield-c', 'yield-d'];
  const running = await Promise.all(
    names.map((comm) =>
      Generator.start(['--call', 'yield', '--calls', 20_000, '--comm', comm, '--pin', 0, '--cgroup', directory]),
    ),
  );
  await Promise.all(running.map((g) => g.run()));
  const contents = probe.read();
  await Promise.all(running.map((g) => g.end()));
  for (const comm of names) assert.equal(countOf(contents, 24n, comm), 20_000n, comm);
});

test('a table of 64 rows under 10,000 keys loses labels and no event', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const large = loadProbe(t, 'syscalls', { scope });
  const small = loadProbe(t, 'syscalls', { scope, rows: 64 });
  await generate(['--call', 'number', '--keys', 10_000, '--calls', 30_000, '--comm', 'flood', '--cgroup', directory]);
  const [all, few] = [large.read(), small.read()];
  for (let i = 0; i < 10_000; i++) assert.equal(countOf(all, BigInt(number.first + i), 'flood'), 3n);
  assert.equal(all.overflow[0], 0n);
  assert.equal(few.seen, all.seen);
  assert.equal(few.rowsIssued, 64);
  assert.equal(few.failed[0], few.overflow[0], 'the reason is that the table is full');
  assert.ok(few.overflow[0]! > 29_000n);
  for (const contents of [all, few]) balanced(contents);
});

test('CPUs that bring the same keys at once use a row for each key, and one more each', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope });
  const threads = 2;
  const batches = 40;
  const keys = 300;
  const calls = 3 * keys;
  // Each batch brings new keys to all CPUs in lock step.
  for (let b = 0; b < batches; b++) {
    const shape = ['--threads', threads, '--pin', 0, '--spread', '--comm', 'race', '--cgroup', directory];
    await generate([
      ...shape,
      '--call',
      'number',
      '--first',
      number.first + b * keys,
      '--keys',
      keys,
      '--calls',
      calls,
    ]);
  }
  const contents = probe.read();
  const spare = contents.rows.filter((row) => row.key.length === 0);
  const counted = new Map(contents.rows.filter((row) => !spare.includes(row)).map((row) => [row.key.join(), row]));
  const [low, high] = commWords('race');
  for (let i = 0; i < batches * keys; i++)
    assert.equal(
      counted.get([0n, 0n, BigInt(number.first + i), low, high].join())?.values[0],
      BigInt(threads * 3),
      `key ${i}`,
    );
  assert.equal(counted.size + spare.length, contents.rowsIssued, 'no key has two rows');
  for (const { values } of spare) assert.equal(values[0], 0n, 'nothing is counted in a row without a key');
  t.diagnostic(`${counted.size} keys, ${contents.rowsIssued} rows`);
  assert.ok(contents.rowsIssued <= counted.size + availableParallelism());
  balanced(contents);
});

test('a key in the kernel carries the mark that user space computes', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope });
  await generate(['--names', 50, '--calls', 50, '--comm', 'marked', '--cgroup', directory]);
  const { rowsIssued } = probe.read();
  const bytes = probe.lineage.readKeys(0, 0, 1, rowsIssued);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert.ok(rowsIssued >= 50);
  const words = probe.meta.tables[0]!.keyWords;
  const entry = 8 * (1 + words);
  for (let i = 0; i < rowsIssued; i++) {
    const comm = commText(view.getBigUint64(i * entry + 32, true), view.getBigUint64(i * entry + 40, true));
    assert.equal(view.getBigUint64(i * entry, true), keyMark(view, i * entry + 8, words), `row ${i + 1}, ${comm}`);
  }
});

test('a 32-bit call is told from the 64-bit call of the same number', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'syscalls', { scope });
  await generate(['--call', 'compat', '--calls', 70, '--comm', 'compat', '--cgroup', directory]);
  const contents = probe.read();
  assert.equal(countOf(contents, 64n, 'compat'), 0n);
  if (process.arch === 'x64') assert.equal(countOf(contents, (1n << 31n) | 64n, 'compat'), 70n);
});
