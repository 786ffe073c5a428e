/** Beyond the limits on series rows join the overflow: totals stay exact, and the checkpoint says how many rows. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { SeriesLimits } from '../../services/aggregator/merge/limits.ts';
import { noLimits, seriesLimits } from '../../services/aggregator/merge/limits.ts';
import { Bench, counterTable, hostRecord, ModelLineage, windowTotals } from './fixtures.ts';

const begin = (limits: SeriesLimits, options = {}): { kernel: ModelLineage; bench: Bench } => {
  const kernel = new ModelLineage(options);
  return { kernel, bench: new Bench(kernel.partition, limits) };
};

const names = ['a', 'b', 'c', 'd', 'e'];

test('a host has as many series as it may; the rest joins the overflow, total and windows exact', () => {
  const { kernel, bench } = begin({ ...noLimits, perHost: 3 });
  for (const [i, name] of names.entries()) kernel.count(name, 10 * (i + 1));
  kernel.overflow = 1n;
  bench.batch(kernel.message(1));
  bench.commit();
  const expected = {
    'web-1/syscalls/*': 91n,
    'web-1/syscalls/a': 10n,
    'web-1/syscalls/b': 20n,
    'web-1/syscalls/c': 30n,
  };
  assert.deepEqual(bench.totals, expected);
  assert.deepEqual(windowTotals(bench.blobs), expected);
  const record = hostRecord(bench.blobs);
  assert.deepEqual(record.limitedRows, { syscalls: 2n });
  assert.equal(record.lineages[0]!.ledgers[0]!.seen, kernel.seen);
  assert.equal(record.lineages[0]!.ledgers[0]!.overflow, 1n, 'what the kernel itself could not attribute');
  const warned = bench.effects.filter((e) => e.kind === 'log' && e.level === 'warn');
  assert.equal(warned.length, 1, 'said once');
});

test('a row stays where it joined, through restarts, keyframes and generations; known labels are always found', () => {
  const { kernel, bench } = begin({ ...noLimits, perHost: 2 });
  for (const name of names.slice(0, 3)) kernel.count(name, 1);
  bench.batch(kernel.message(1));
  bench.commit();
  bench.start();
  kernel.count('c', 4);
  kernel.count('a', 2);
  bench.batch(kernel.message(2));
  kernel.seal();
  kernel.count('c', 8);
  kernel.count('b', 8);
  bench.batch(kernel.message(13));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/*': 13n, 'web-1/syscalls/a': 3n, 'web-1/syscalls/b': 9n });
  assert.deepEqual(hostRecord(bench.blobs).limitedRows, { syscalls: 2n }, 'once in each generation');
});

test('raised limits take new labels again', () => {
  const { kernel, bench } = begin({ ...noLimits, perHost: 1 });
  for (const name of ['a', 'b']) kernel.count(name, 1);
  bench.batch(kernel.message(1));
  bench.commit();
  bench.limits = noLimits;
  bench.start();
  kernel.count('c', 5);
  bench.batch(kernel.message(2));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/*': 1n, 'web-1/syscalls/a': 1n, 'web-1/syscalls/c': 5n });
});

test('a partition takes its part of the fleet’s series, over all its hosts', () => {
  const limits = seriesLimits(100, 3 * 64);
  assert.deepEqual(limits, { perHost: 100, perPartition: 3 });
  const { kernel: first, bench } = begin(limits);
  // A host of the same partition.
  let second = new ModelLineage({ host: 'x-0' });
  for (let i = 1; second.partition !== first.partition; i++) second = new ModelLineage({ host: `x-${i}`, uuid: 2 });
  for (const name of ['a', 'b']) first.count(name, 1);
  for (const name of ['a', 'b']) second.count(name, 1);
  bench.batch(first.message(1));
  bench.batch(second.message(1));
  bench.commit();
  assert.deepEqual(bench.totals, {
    [`${first.host}/syscalls/a`]: 1n,
    [`${first.host}/syscalls/b`]: 1n,
    [`${second.host}/syscalls/*`]: 1n,
    [`${second.host}/syscalls/a`]: 1n,
  });
});

test('what floods a host leaves room for the accounts of Muster, which count towards the limit too', () => {
  const { kernel, bench } = begin({ ...noLimits, perHost: 32 });
  for (let i = 0; i < 100; i++) kernel.count(`flood-${i}`, 1);
  bench.batch(kernel.message(1));
  const accounts = new ModelLineage({ uuid: 2, probe: 'muster', tables: [counterTable('muster_runs')] });
  for (const name of names) accounts.count(name, 1);
  bench.batch(accounts.message(1));
  bench.commit();
  const series = (table: string): number =>
    Object.keys(bench.totals).filter((key) => key.startsWith(`web-1/${table}/`) && !key.endsWith('*')).length;
  assert.equal(series('syscalls'), 30, 'all but a sixteenth');
  assert.equal(series('muster_runs'), 2, 'up to the limit');
  assert.equal(bench.totals['web-1/syscalls/*'], 70n);
  assert.equal(bench.totals['web-1/muster_runs/*'], 3n);
  // The same after a restart, which counts anew; and in a partition.
  bench.start();
  kernel.count('new', 1);
  bench.batch(kernel.message(2));
  bench.commit();
  assert.equal(series('syscalls'), 30);
  const second = begin({ ...noLimits, perPartition: 32 }).bench;
  second.batch(kernel.message(3));
  second.batch(accounts.message(3));
  second.commit();
  assert.equal(second.totals['web-1/syscalls/*'], 71n);
  assert.equal(second.totals['web-1/muster_runs/*'], 3n);
});

test('accounts take what is free beside their part, and others then have the rest', () => {
  const { kernel, bench } = begin({ ...noLimits, perHost: 32 });
  const accounts = new ModelLineage({ uuid: 2, probe: 'muster', tables: [counterTable('muster_runs')] });
  for (let i = 0; i < 20; i++) accounts.count(`program-${i}`, 1);
  bench.batch(accounts.message(1));
  for (let i = 0; i < 20; i++) kernel.count(`flood-${i}`, 1);
  bench.batch(kernel.message(1));
  bench.commit();
  assert.equal(bench.totals['web-1/muster_runs/*'], undefined);
  assert.equal(bench.totals['web-1/syscalls/*'], 8n);
});
