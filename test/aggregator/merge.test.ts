/** What merging counts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { decodeBatch, Resync } from '../../services/shared/contract/batch.ts';
import { decodeWindow } from '../../services/shared/contract/checkpoint-codec.ts';
import { Bench, epochMs, hostRecord, ModelLineage, tells, windowTotals } from './fixtures.ts';

const begin = (options = {}): { kernel: ModelLineage; bench: Bench } => {
  const kernel = new ModelLineage(options);
  return { kernel, bench: new Bench(kernel.partition) };
};

test('counts rows by their labels, and the overflow row', () => {
  const { kernel, bench } = begin();
  kernel.count('nginx', 5);
  kernel.overflow = 2n;
  bench.batch(kernel.message(1));
  kernel.count('nginx', 4);
  kernel.count('redis', 1);
  bench.batch(kernel.message(2, { only: [1, 2] }));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/*': 2n, 'web-1/syscalls/nginx': 9n, 'web-1/syscalls/redis': 1n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
  const [ledger] = hostRecord(bench.blobs).lineages[0]!.ledgers;
  assert.equal(ledger!.seen, 12n);
  assert.equal(ledger!.overflow, 2n);
});

test('a window has what failed in it, once; a detached lineage has since when', () => {
  const { kernel, bench } = begin();
  kernel.overflow = 2n;
  bench.batch(kernel.message(1));
  kernel.overflow = 5n;
  const message = kernel.message(12);
  bench.batch(message);
  bench.batch(message);
  kernel.detachedWallNs = 77n;
  bench.batch(kernel.message(13));
  bench.commit();
  const failed = [...bench.blobs]
    .filter(([name]) => name.startsWith('window/'))
    .map(([, b]) => decodeWindow(b).hosts[0]!.failed);
  assert.deepEqual(failed, [2n, 3n]);
  assert.equal(hostRecord(bench.blobs).lineages[0]!.detachedWallNs, 77n);
  bench.start();
  bench.batch(kernel.message(14));
  bench.commit();
  assert.equal(hostRecord(bench.blobs).lineages[0]!.detachedWallNs, 77n);
});

test('rows that decode alike are one series', () => {
  const { kernel, bench } = begin();
  kernel.rows.set(1, { labels: ['a'], value: 3n });
  kernel.rows.set(2, { labels: ['a'], value: 4n });
  bench.batch(kernel.message(1));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 7n });
});

test('counts beyond 2^53 are exact', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 2n ** 60n + 1n);
  bench.batch(kernel.message(1));
  kernel.count('a', 2n ** 33n + 1n);
  bench.batch(kernel.message(2));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 2n ** 60n + 2n ** 33n + 2n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
});

test('a batch of a lineage never introduced asks for a keyframe and counts nothing', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  const effects = bench.batch(kernel.message(1, { only: [1] }));
  assert.equal(tells(effects, 'resync').length, 1);
  assert.equal(tells(effects, 'resync')[0]!.subject, 'muster.v1.resync.web-1');
  bench.commit();
  assert.deepEqual(bench.totals, {});
});

test('a row without a definition is not counted until a keyframe brings it', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1));
  kernel.count('a', 1);
  kernel.count('b', 5);
  const effects = bench.batch(kernel.message(2, { bare: true, keyframe: false, schemaJson: '' }));
  assert.match(Resync.decode(tells(effects, 'resync')[0]!.payload).reason, /row 2 of syscalls/);
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 2n });
  bench.batch(kernel.message(3));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 2n, 'web-1/syscalls/b': 5n });
});

test('a missing message of the agent asks for a keyframe', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1));
  kernel.message(2);
  assert.equal(tells(bench.batch(kernel.message(3, { only: [1] })), 'resync').length, 1);
});

test('a request for a keyframe that is lost on the way is repeated until the keyframe is here', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1));
  kernel.message(2);
  const quiet = (atS: number, at: number): number =>
    tells(bench.batch(kernel.message(atS, { only: [], keyframe: false }), bench.nowMs + at), 'resync').length;
  assert.equal(quiet(3, 10_000), 1);
  assert.equal(quiet(4, 11_000), 0, 'not at once');
  assert.equal(quiet(5, 16_000), 1, 'but again, though nothing is missing any more');
  bench.batch(kernel.message(6), bench.nowMs + 17_000);
  assert.equal(quiet(7, 30_000), 0, 'and no more once it came');
});

test('a clock far off is dated by the bus, and said so; a late batch is not', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1, { readWallNs: BigInt(epochMs + 86_400_000) * 1_000_000n }), epochMs + 1_000);
  bench.commit();
  assert.deepEqual(
    [...bench.blobs.keys()].filter((n) => n.startsWith('window/')),
    [`window/10s/${epochMs}/syscalls`],
  );
  assert.equal(hostRecord(bench.blobs).clockSkewMs, 86_399_000n);
});

test('whatever times a host states, its batch is merged and the next checkpoint is written', () => {
  const most = 2n ** 64n - 1n;
  const times = [0n, 1n, 2n ** 63n, most];
  for (const created of times)
    for (const detached of times)
      for (const read of times) {
        const { kernel, bench } = begin();
        kernel.count('a', 1);
        kernel.detachedWallNs = detached;
        const lineage = {
          probe: 'syscalls',
          uuid: Buffer.alloc(16, 1),
          bootId: Buffer.alloc(16, 9),
          createdBoottimeNs: 0n,
          createdWallNs: created,
          detachedWallNs: detached,
          schemaHash: kernel.schemaHash,
        };
        // Old at its first sight, so that a span of unknown history is written too.
        bench.batch(kernel.message(500, { lineage, readWallNs: read }));
        bench.batch(new ModelLineage({ uuid: 2, createdS: 600 }).message(601, { readWallNs: read }));
        bench.commit();
        assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 1n });
      }
});

test('whatever is said to have been sampled, or given up, the next checkpoint is written', () => {
  const most = 2n ** 64n - 1n;
  const { kernel, bench } = begin();
  for (let generation = 1; generation <= 3; generation++) {
    kernel.count('a', 1);
    const sampled = { seen: most, given: most, sumSeen: most, sumGiven: most, weightMax: most };
    const forged = decodeBatch(kernel.message(generation, { sealed: true }).payload);
    forged.tables[0]!.ledger!.sampled = sampled;
    const governed = { level: 0xffffffff, stacksDropped: true, budgetPpm: 0xffffffff, sinceWallS: most };
    bench.batch(kernel.message(generation, { sealed: true, tables: forged.tables, governed }));
    kernel.seal();
  }
  bench.commit();
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 3n });
  const folded = hostRecord(bench.blobs).lineages[0]!.ledgers.find((l) => !l.current)!;
  assert.equal(folded.sampled?.given, most);
});

test('a window that was closed takes late increments in a part beside it, and goes with its retention', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1));
  bench.commit();
  bench.nowMs += 60_000;
  kernel.count('a', 1);
  bench.batch(kernel.message(60));
  bench.commit();
  kernel.count('a', 1);
  bench.batch(kernel.message(2), epochMs + 2_000);
  bench.commit();
  assert.ok(bench.blobs.has(`window/10s/${epochMs}/syscalls/1`));
  assert.deepEqual(windowTotals(bench.blobs), { 'web-1/syscalls/a': 3n });
  bench.nowMs += 3_700_000;
  bench.commit();
  assert.deepEqual(
    [...bench.blobs.keys()].filter((n) => n.startsWith('window/')),
    [],
  );
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 3n });
});

test('both wire versions are merged, in any order, and count the same', () => {
  const { kernel, bench } = begin();
  for (const [i, wireVersion] of [1, 2, 1, 2, 2, 1].entries()) {
    kernel.count('a', 3);
    bench.batch(kernel.message(i + 1, { wireVersion }));
  }
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 18n });
  assert.equal(hostRecord(bench.blobs).quarantinedBatches, 0n);
});

test('rows of a sealed generation beyond what it saw are an alarm, and stay one in the ledger', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  const broken = kernel.message(1, { sealed: true });
  const { tables } = decodeBatch(broken.payload);
  const ledger = { seen: 8n, failed: [0n, 0n, 0n, 0n] };
  bench.batch(kernel.message(1, { sealed: true, tables: [{ ...tables[0]!, ledger }] }));
  const [alarm] = bench.effects.filter((e) => e.kind === 'alarm');
  assert.deepEqual(alarm && { ...(alarm.fields as object) }, {
    host: 'web-1',
    probe: 'syscalls',
    table: 'syscalls',
    generation: '1',
    seen: '8',
    rows: '10',
  });
  // Two generations on it is folded as it stands.
  for (let i = 0; i < 2; i++) {
    kernel.seal();
    kernel.retired -= 2n * BigInt(i === 0 ? 1 : 0);
    bench.batch(kernel.message(2 + i));
  }
  bench.commit();
  bench.start();
  bench.commit();
  const folded = hostRecord(bench.blobs).lineages[0]!.ledgers.find((l) => !l.current)!;
  assert.deepEqual([folded.seen, folded.excess, folded.lost], [8n, 2n, 0n]);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 10n });
});
