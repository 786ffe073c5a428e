/** A probe that uses the header as a user would: buckets as in TypeScript, several tables, amounts, label tags. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketOf } from '../../services/shared/algebra/histogram.ts';
import { compileProbe, loadProbe, ownCgroup, requireBpf, total } from './probe.ts';
import { generate } from './generator.ts';

test('the kernel puts values near every power of two into the buckets that user space names', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'buckets', { scope }, compileProbe('probes/buckets.bpf.c'));
  const rounds = 3n;
  await generate([
    '--call',
    'number',
    '--first',
    5000,
    '--keys',
    512,
    '--calls',
    512 * Number(rounds),
    '--cgroup',
    directory,
  ]);
  const contents = probe.read();
  let observed = 0n;
  for (const { key, values } of contents.rows) {
    const [value, bucket] = [key[0]!, key[1]!];
    assert.equal(Number(bucket), bucketOf(value), `bucket of ${value}`);
    assert.equal(values[1], BigInt.asUintN(64, values[0]! * value), `sum of ${value}`);
    observed += values[0]!;
  }
  assert.equal(observed, 512n * rounds);
  assert.ok(contents.rows.length > 300);
  assert.equal(total(contents), contents.seen);
});

test('a second table of the object counts amounts under its own labels', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'buckets', { scope }, compileProbe('probes/buckets.bpf.c'));
  await generate(['--call', 'number', '--first', 5000, '--keys', 100, '--calls', 100, '--cgroup', directory]);
  const schema = probe.meta.tables[1]!;
  assert.deepEqual(
    [schema.name, schema.kind, schema.unit, schema.help, schema.rows],
    ['parities', 'counter', 'bytes', 'bytes: even and odd', 4],
  );
  assert.deepEqual(schema.labels, [
    { name: 'kind', meaning: 'enum', offset: 0, size: 4, names: { 0: 'EVEN', 1: 'ODD' } },
  ]);
  const contents = probe.read(undefined, 1);
  assert.deepEqual(
    contents.rows.map((r) => [r.key[0], r.values[0]]),
    [
      [0n, 50_000n],
      [1n, 50_000n],
    ],
  );
  assert.equal(contents.seen, 100_000n);
});

test('what could not be kept from one event to the next is counted as failed, with the reason', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'loses', { scope }, compileProbe('probes/loses.bpf.c'));
  await generate(['--call', 'number', '--first', 6000, '--keys', 200, '--calls', 200, '--cgroup', directory]);
  const contents = probe.read();
  const kept = contents.rows.reduce((sum, row) => sum + row.values[0]!, 0n);
  assert.equal(kept, 16n);
  assert.deepEqual(contents.overflow, [84n]);
  assert.deepEqual(contents.failed, [84n, 0n, 0n, 0n], 'for want of room');
  assert.equal(contents.seen, 100n);
});
