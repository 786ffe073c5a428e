/** A kernel has two generations: how many are held of an agent that sends more. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Refused } from '../../services/shared/contract/batch.ts';
import { Bench, epochMs, hostRecord, ModelLineage, tells } from './fixtures.ts';

const openOf = (bench: Bench): number =>
  bench.core.merged.hosts.get('web-1')!.lineages.find((l) => l.uuid.startsWith('02'))?.open.length ?? 0;

test('generations that wait for an elder are few; what a broken agent sends beyond is refused, and stands as lost', () => {
  for (const end of ['detached', 'quiet'] as const) {
    const kernel = new ModelLineage();
    const bench = new Bench(kernel.partition);
    kernel.count('a', 10);
    bench.batch(kernel.message(1));
    const broken = new ModelLineage({ uuid: 2, createdS: 2 });
    for (let g = 1; g < 50; g++) {
      broken.count('a', 1);
      bench.batch(broken.message(2 + g));
      broken.seal();
      assert.ok(openOf(bench) <= 8);
    }
    const [told] = tells(bench.effects, 'refused');
    assert.equal(Refused.decode(told!.payload).reason, 'lineage/generations');
    bench.commit();
    assert.equal(hostRecord(bench.blobs).quarantinedBatches, 41n);
    assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 18n });
    // What waits already is joined all the same.
    if (end === 'detached') {
      kernel.detachedWallNs = BigInt(epochMs) * 1_000_000n + 2_000_000_000n;
      bench.batch(kernel.message(60));
    }
    broken.count('a', 1);
    bench.batch(broken.message(end === 'quiet' ? 700 : 61));
    broken.count('a', 1);
    bench.batch(broken.message(end === 'quiet' ? 701 : 62));
    assert.ok(openOf(bench) <= 2);
    bench.commit();
    assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 20n });
    const ledgers = hostRecord(bench.blobs).lineages.find(
      (l) => l.tableKeys.length > 0 && l.generation === 50n,
    )!.ledgers;
    const sum = (of: (l: (typeof ledgers)[number]) => bigint): bigint => ledgers.reduce((n, l) => n + of(l), 0n);
    assert.equal(
      sum((l) => l.lost),
      41n,
    );
    assert.equal(
      sum((l) => l.seen),
      51n,
      'all that was seen',
    );
  }
});
