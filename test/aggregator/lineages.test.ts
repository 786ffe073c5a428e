/** Generations, and lineages that follow or overlap each other. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Durable, Resync } from '../../services/shared/contract/batch.ts';
import { Bench, counterTable, epochMs, hostRecord, ModelLineage, tells, windowTotals } from './fixtures.ts';

const begin = (options = {}): { kernel: ModelLineage; bench: Bench } => {
  const kernel = new ModelLineage(options);
  return { kernel, bench: new Bench(kernel.partition) };
};

test('a sealed generation folds once it is complete, and counts nothing again', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  kernel.count('a', 5);
  const final = kernel.message(2, { sealed: true });
  kernel.seal();
  kernel.count('a', 3);
  bench.batch(kernel.message(3));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 13n });
  bench.batch(final);
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 18n });
  assert.equal(hostRecord(bench.blobs).lineages[0]!.foldedThrough, 1n);
  assert.deepEqual(
    [...bench.blobs.keys()].filter((n) => n.startsWith('last/') && n.includes('/1/syscalls/')),
    [],
  );
  bench.batch(final);
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 18n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
});

test('durable is announced one checkpoint late, with the whole identity', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1, { sealed: true }));
  assert.deepEqual(tells(bench.commit(), 'durable'), []);
  const [told] = tells(bench.commit(), 'durable');
  assert.deepEqual(
    { ...Durable.decode(told!.payload) },
    { bootId: Buffer.alloc(16, 9), lineageUuid: Buffer.alloc(16, 1), generation: 1n },
  );
  assert.deepEqual(bench.commit(), [], 'nothing is left to commit');
});

test('an incomplete sealed generation is not folded, and asked for again', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  kernel.count('b', 10);
  const effects = bench.batch(
    kernel.message(1, { sealed: true, only: [1], schemaJson: JSON.stringify(kernel.tables) }),
  );
  assert.match(Resync.decode(tells(effects, 'resync')[0]!.payload).reason, /sealed generation 1/);
  bench.commit();
  assert.deepEqual(tells(bench.commit(), 'durable'), []);
  assert.equal(hostRecord(bench.blobs).lineages[0]!.foldedThrough, 0n);
});

test('a generation that never came is counted as lost', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  kernel.count('a', 7);
  kernel.seal();
  kernel.seal();
  kernel.count('a', 1);
  bench.batch(kernel.message(3));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 11n });
  const ledgers = hostRecord(bench.blobs).lineages[0]!.ledgers;
  assert.equal(
    ledgers.reduce((sum, l) => sum + l.lost, 0n),
    7n,
  );
  assert.equal(
    ledgers.reduce((sum, l) => sum + l.seen, 0n),
    18n,
  );
});

test('a lineage first seen when already old counts towards lifetime only', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1000);
  bench.batch(kernel.message(3600));
  kernel.count('a', 1);
  bench.batch(kernel.message(3601));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 1001n });
  assert.deepEqual(windowTotals(bench.blobs), { 'web-1/syscalls/a': 1n });
  assert.deepEqual(
    hostRecord(bench.blobs).unknown.map((u) => u.reason),
    ['unknown-history'],
  );
});

test('an upgrade is not an overlap: both lineages count, the last batch of the old one included', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(100, { readBoottimeNs: 1_000_000_000n }));
  const upgraded = new ModelLineage({ uuid: 2, createdS: 101 });
  upgraded.count('a', 5);
  bench.batch(upgraded.message(102));
  // The old maps, detached, read once more: grew before the new ones were made, and not since.
  kernel.count('a', 1);
  bench.batch(kernel.message(103, { sealed: true }));
  bench.batch(kernel.message(104, { sealed: true }));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 16n });
  const record = hostRecord(bench.blobs);
  assert.deepEqual(
    record.lineages.map((l) => l.state),
    ['ended', 'live'],
  );
  assert.deepEqual(
    record.unknown.map((u) => u.reason),
    ['detached'],
  );
});

test('time without a program attached is unknown from the detaching on, however late the old maps are read', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  const wallNs = (s: number): bigint => BigInt(epochMs) * 1_000_000n + BigInt(s) * 1_000_000_000n;
  kernel.detachedWallNs = wallNs(2);
  bench.batch(kernel.message(100));
  bench.batch(new ModelLineage({ uuid: 2, createdS: 99 }).message(101));
  bench.commit();
  assert.deepEqual(
    hostRecord(bench.blobs).unknown.map((u) => [u.reason, u.startWallNs, u.endWallNs]),
    [['detached', wallNs(2), wallNs(99)]],
  );
});

test('a reboot ends the lineage and is a dated window of unknown', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  const next = new ModelLineage({ uuid: 2, boot: 8, createdS: 50 });
  next.count('a', 5);
  bench.batch(next.message(51));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 15n });
  const [span] = hostRecord(bench.blobs).unknown;
  assert.equal(span!.reason, 'reboot');
  assert.equal(span!.endWallNs - span!.startWallNs, 49_000_000_000n);
});

test('two lineages that both grow count the same events: the younger is quarantined, its count taken back', () => {
  const { kernel, bench } = begin();
  const younger = new ModelLineage({ uuid: 2, createdS: 2 });
  for (let s = 1; s <= 5; s++) {
    kernel.count('a', 10);
    bench.batch(kernel.message(s));
    if (s < 2) continue;
    younger.count('a', 10);
    bench.batch(younger.message(s + 0.5));
  }
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 50n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
  const record = hostRecord(bench.blobs);
  assert.deepEqual(
    record.lineages.map((l) => l.state),
    ['live', 'quarantined'],
  );
  assert.deepEqual(record.unknown, [], 'the older one counted all the while');
  assert.equal(
    record.lineages[1]!.ledgers.reduce((sum, l) => sum + l.quarantined, 0n),
    40n,
  );
  assert.ok(bench.effects.some((e) => e.kind === 'alarm'));
});

test('what a younger lineage counted is taken back in full, however long nobody read the older one', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  const younger = new ModelLineage({ uuid: 2, createdS: 2 });
  for (let s = 3; s < 300; s += 100) {
    kernel.count('a', 10);
    younger.count('a', 10);
    bench.batch(younger.message(s));
  }
  kernel.count('a', 10);
  younger.count('a', 10);
  bench.batch(younger.message(301, { sealed: true }));
  bench.commit();
  bench.commit();
  assert.deepEqual(tells(bench.effects, 'durable'), [], 'nothing is said to be durable that may be taken back');
  for (const s of [310, 311]) {
    kernel.count('a', 10);
    bench.batch(kernel.message(s));
  }
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 70n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
});

test('once its elder is detached, or quiet for long, a lineage is folded', () => {
  for (const detached of [true, false]) {
    const { kernel, bench } = begin();
    kernel.count('a', 10);
    bench.batch(kernel.message(1));
    const next = new ModelLineage({ uuid: 2, createdS: 2 });
    next.count('a', 5);
    bench.batch(next.message(3, { sealed: true }));
    assert.equal(hostOf(bench).foldedThrough, 0n);
    if (detached) {
      kernel.detachedWallNs = BigInt(epochMs) * 1_000_000n + 2_000_000_000n;
      bench.batch(kernel.message(4));
    }
    for (const s of detached ? [5] : [700, 701]) bench.batch(next.message(s, { sealed: true }));
    bench.commit();
    assert.equal(hostOf(bench).foldedThrough, 1n);
    assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 15n });
  }
});

test('what a younger lineage lost with a store is stated at once, whatever became of its elder', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  // The store was set back to a copy that knows the elder alone, whose pins are long gone.
  const younger = new ModelLineage({ uuid: 2, createdS: 2 });
  for (let generation = 1; generation < 6; generation++) {
    younger.count('a', 20);
    younger.seal();
  }
  younger.count('a', 3);
  bench.batch(younger.message(20));
  bench.commit();
  const record = hostRecord(bench.blobs).lineages[1]!;
  assert.equal(
    record.ledgers.reduce((sum, l) => sum + l.lost, 0n),
    100n,
  );
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 13n });
});

const hostOf = (bench: Bench): { foldedThrough: bigint } =>
  bench.core.merged.hosts.get('web-1')!.lineages.find((l) => l.createdBoottimeNs > 0n)!;

test('a table of the same name with other labels is kept apart', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  const changed = new ModelLineage({ uuid: 2, createdS: 2, tables: [counterTable('syscalls', ['process'])] });
  changed.count('a', 3);
  bench.batch(changed.message(3));
  bench.commit();
  const keys = hostRecord(bench.blobs).lineages.map((l) => l.tableKeys[0]!);
  assert.equal(keys[0], 'syscalls');
  assert.match(keys[1]!, /^syscalls~[0-9a-f]{16}$/);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 10n, [`web-1/${keys[1]}/a`]: 3n });
});

test('what an ended lineage saw and never brought is lost, once', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 4);
  kernel.count('b', 6);
  bench.batch(kernel.message(1, { only: [1], keyframe: true, schemaJson: JSON.stringify(kernel.tables) }));
  kernel.seal();
  kernel.count('a', 1);
  kernel.count('b', 2);
  bench.batch(kernel.message(2, { only: [1] }));
  const next = new ModelLineage({ uuid: 2, boot: 8, createdS: 50 });
  next.count('a', 5);
  // At once, while its generations are still open, and for good once they are folded.
  for (const s of [51, 700]) {
    bench.batch(next.message(s));
    bench.commit();
    assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 10n });
    const { folded, lineages } = hostRecord(bench.blobs);
    const ledgers = [...folded, ...lineages.flatMap((l) => l.ledgers)];
    const sum = (field: 'lost' | 'seen'): bigint => ledgers.reduce((n, l) => n + l[field], 0n);
    assert.deepEqual([s, sum('lost'), sum('seen')], [s, 8n, 18n]);
  }
  const record = hostRecord(bench.blobs);
  assert.equal(record.lineages[0]!.schemaJson, '', 'only its identity is kept');
  // A repeat of it counts nothing, and is said.
  bench.batch(kernel.message(3));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 10n });
});
