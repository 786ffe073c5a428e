/** A checkpoint that is damaged costs what it must and no more, and says so. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { createPartition, isWanted, type PartitionEffect, step } from '../../services/aggregator/partition.ts';
import { Bench, epochMs, hostRecord, ModelLineage, tells, windowTotals } from './fixtures.ts';

/** A host with a folded generation (a: 10) and a running one (a: 3, b: 4). */
function prepared(): { kernel: ModelLineage; bench: Bench } {
  const kernel = new ModelLineage();
  const bench = new Bench(kernel.partition);
  kernel.count('a', 10);
  bench.batch(kernel.message(1, { sealed: true }));
  kernel.seal();
  kernel.count('a', 3);
  kernel.count('b', 4);
  bench.batch(kernel.message(2));
  bench.commit();
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 13n, 'web-1/syscalls/b': 4n });
  return { kernel, bench };
}

/** Totals whatever the table's key: a table whose labels are lost goes on under another. */
const byName = (totals: Record<string, bigint>): Record<string, bigint> =>
  Object.fromEntries(Object.entries(totals).map(([k, v]) => [k.replace(/~[0-9a-f]{16}/, ''), v]));

/** Loads with the blobs whose names begin so damaged in both checkpoints. */
function startDamaged(bench: Bench, prefix: string): PartitionEffect[] {
  const damaged = [...bench.blobs.keys()].filter((n) => n.startsWith(prefix));
  assert.ok(damaged.length > 0, prefix);
  const blobs = new Map([...bench.blobs].filter(([n]) => !damaged.includes(n) && isWanted(n)));
  bench.core = createPartition({ partition: bench.partition, nonce: 'again' });
  const names = [...bench.blobs.keys()].filter((n) => !damaged.includes(n));
  const checkpoint = { head: bench.head!, blobs, names, fellBack: false, damaged };
  return bench.feed(
    step(bench.core, { kind: 'loaded', checkpoint, streamIdentity: 'stream', nowMs: bench.nowMs + 60_000 }),
  );
}

test('rows come back with the next keyframe, and not into the windows again', () => {
  const { kernel, bench } = prepared();
  const effects = startDamaged(bench, 'last/');
  assert.equal(effects.filter((e) => e.kind === 'alarm').length, 1);
  assert.equal(tells(effects, 'resync').length, 1);
  bench.batch(kernel.message(3));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 13n, 'web-1/syscalls/b': 4n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
  assert.ok(hostRecord(bench.blobs).unknown.some((u) => u.reason === 'store-damaged'));
});

for (const prefix of ['base/', 'series/']) {
  test(`without its ${prefix} blob a table keeps its running generation and states the folded ones as lost`, () => {
    const { kernel, bench } = prepared();
    startDamaged(bench, prefix);
    bench.batch(kernel.message(3));
    bench.commit();
    assert.deepEqual(byName(bench.totals), { 'web-1/syscalls/a': 3n, 'web-1/syscalls/b': 4n });
    const { ledgers } = hostRecord(bench.blobs).lineages[0]!;
    assert.equal(
      ledgers.reduce((sum, l) => sum + l.lost, 0n),
      10n,
    );
    assert.equal(
      ledgers.reduce((sum, l) => sum + l.seen, 0n),
      17n,
    );
  });
}

test('rows of a lineage whose maps are gone, and their labels with the store, are lost: nobody brings them again', () => {
  const kernel = new ModelLineage();
  const bench = new Bench(kernel.partition);
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  const next = new ModelLineage({ uuid: 2, createdS: 50 });
  next.count('a', 5);
  bench.batch(next.message(51));
  bench.commit();
  bench.commit();
  startDamaged(bench, 'series/');
  bench.batch(next.message(52));
  bench.commit();
  assert.deepEqual(byName(bench.totals), { 'web-1/syscalls/a': 5n });
  const ledgers = hostRecord(bench.blobs).lineages.flatMap((l) => l.ledgers);
  assert.deepEqual(
    ledgers.map((l) => [l.seen, l.lost]),
    [
      [10n, 10n],
      [5n, 0n],
    ],
  );
});

test('without its record a host is learned anew, and what had been folded is stated as lost', () => {
  const { kernel, bench } = prepared();
  startDamaged(bench, 'host/');
  bench.batch(kernel.message(3));
  bench.commit();
  assert.deepEqual(byName(bench.totals), { 'web-1/syscalls/a': 3n, 'web-1/syscalls/b': 4n });
  assert.equal(
    hostRecord(bench.blobs).lineages[0]!.ledgers.reduce((sum, l) => sum + l.lost, 0n),
    10n,
  );
});

test('a checkpoint that was fallen back from is said, and all hosts are asked', () => {
  const { bench } = prepared();
  bench.core = createPartition({ partition: bench.partition, nonce: 'again' });
  const checkpoint = { ...bench.loaded()!, fellBack: true };
  const effects = step(bench.core, { kind: 'loaded', checkpoint, streamIdentity: 'stream', nowMs: epochMs + 60_000 });
  assert.equal(effects.filter((e) => e.kind === 'alarm').length, 1);
  assert.equal(tells(effects, 'resync').length, 1);
});

test('a folded generation announced before a crash is announced again after the next checkpoint', () => {
  const { kernel, bench } = prepared();
  const effects: PartitionEffect[] = [];
  bench.start();
  effects.push(...bench.batch(kernel.message(3, { only: [] })));
  assert.equal(tells(effects, 'durable').length, 0);
  assert.equal(tells(bench.commit(), 'durable').length, 1);
});
