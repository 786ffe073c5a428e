/** Tables that are kept by second: what is sent of a row's ten, and by which clock they are told. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { decodeColumns } from '../../services/shared/contract/columns.ts';
import { clockOffset } from '../../services/shared/contract/seconds.ts';
import { toBigInt } from '../../services/shared/algebra/limbs.ts';
import type { Batch } from '../../services/shared/contract/batch.ts';
import { models } from '../simulation/catalogue.ts';
import type { SimLineage } from '../simulation/pins.ts';
import { Rig, second, TestAgent } from './rig.ts';

const table = 1; // of models.waits: kept by second

function wake(rig: Rig, lineage: SimLineage, key: number, n: number): void {
  const slot = lineage.slots[table]![Number(lineage.control & 1n)]!;
  slot.begin(0, n);
  slot.finish(0, key, n, 0, false, lineage.secondOf(table, n, rig.now()));
}

/** Values of the batch's rows, by row. */
function rowsOf(batch: Batch): bigint[][] {
  const c = decodeColumns(batch.tables[table]!.columns);
  return Array.from({ length: c.rowCount }, (_, r) =>
    Array.from({ length: c.valueCount }, (_unused, v) => toBigInt(c.values, (v * c.rowCount + r) * 2)),
  );
}

const newest = (agent: TestAgent): Batch => agent.sent.at(-1)!.batch;
/** A row of a sum and its seconds. */
const kept = (sum: bigint, seconds: Readonly<Record<number, bigint>>): bigint[] => [
  sum,
  ...Array.from({ length: 10 }, (_, s) => seconds[s] ?? 0n),
];

test('the sum and the seconds that changed go out, cumulative; a keyframe has all', () => {
  const rig = new Rig();
  const lineage = rig.attach(models.waits[1]!);
  const agent = new TestAgent(rig);
  const digit = (): number => Number((rig.now().wallNs / second) % 10n);
  agent.run(1);
  const first = digit();
  wake(rig, lineage, 0, 5);
  agent.run(1);
  assert.deepEqual(rowsOf(newest(agent)), [kept(5n, { [first]: 5n })]);
  const next = digit();
  wake(rig, lineage, 0, 2);
  agent.run(1);
  assert.deepEqual(rowsOf(newest(agent)), [kept(7n, { [next]: 2n })], 'what stood in the second before did not change');
  agent.run(8);
  assert.deepEqual(rowsOf(newest(agent)), []);
  assert.equal(digit(), (first + 10) % 10);
  wake(rig, lineage, 0, 1);
  agent.run(1);
  assert.deepEqual(rowsOf(newest(agent)), [kept(8n, { [first]: 6n })], 'ten seconds later the same one rises again');
  agent.resync();
  agent.run(1);
  assert.equal(newest(agent).keyframe, true);
  assert.deepEqual(rowsOf(newest(agent)), [kept(8n, { [first]: 6n, [next]: 2n })]);
});

test('the clock is told with each read; when it was set, programs are told, and that read and the next say nothing', () => {
  const rig = new Rig();
  const lineage = rig.attach(models.waits[1]!);
  const agent = new TestAgent(rig);
  agent.run(2);
  const told = newest(agent).seconds!;
  assert.equal(told.offsetNs, clockOffset(rig.now()));
  assert.ok(told.copiedBoottimeNs >= newest(agent).readBoottimeNs);
  rig.wallAheadNs = 3_700_000_000n;
  agent.run(1);
  assert.equal(newest(agent).seconds, undefined);
  assert.equal(lineage.clock, clockOffset(rig.now()), 'programs go by the new time');
  agent.run(1);
  assert.equal(newest(agent).seconds, undefined, 'it began by the old');
  agent.run(1);
  assert.equal(newest(agent).seconds!.offsetNs, clockOffset(rig.now()));
});

test('a clock that is a few milliseconds apart is left alone: it is read in two steps', () => {
  const rig = new Rig();
  const lineage = rig.attach(models.waits[1]!);
  const agent = new TestAgent(rig);
  const before = lineage.clock;
  rig.wallAheadNs = 40_000_000n;
  agent.run(3);
  assert.equal(lineage.clock, before);
  assert.equal(newest(agent).seconds!.offsetNs, before);
});

test('without such tables nothing is said of it', () => {
  const rig = new Rig();
  rig.attach(models.calls[2]!);
  const agent = new TestAgent(rig);
  agent.run(2);
  assert.equal(newest(agent).seconds, undefined);
});
