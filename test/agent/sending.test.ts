/** Reading and sending: changed rows, keyframes, parts, back-pressure, the last read. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { batchBytesMax } from '../../services/shared/contract/batch.ts';
import { parseTables } from '../../services/shared/contract/lineage.ts';
import { models, type ProbeModel } from '../simulation/catalogue.ts';
import { wideModel } from './wide-model.ts';
import { columnsOf, count, Joiner, Rig, second, sorted, TestAgent, truthOf } from './rig.ts';

const calls = models.calls[2]!;

test('the first batch is a keyframe with labels, schema and ledger; the next carries what changed', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig);
  count(lineage, 0, 5, { cpu: 0 });
  count(lineage, 0, 7, { cpu: 1 });
  count(lineage, 6, 1);
  agent.run(1);
  assert.equal(agent.sent.length, 1);
  const [first] = agent.sent;
  assert.equal(first!.batch.keyframe, true);
  assert.deepEqual(first!.batch.hostLabels, { role: 'web' });
  assert.equal(first!.batch.kernelRelease, '6.1.0');
  assert.deepEqual(parseTables(first!.batch.schemaJson), calls.tables);
  assert.equal(first!.batch.generation, 1n);
  assert.equal(first!.batch.tables[0]!.ledger!.seen, 13n);
  assert.equal(first!.batch.programs[0]!.skipped, 0n);
  assert.deepEqual(columnsOf(first!.batch).definitions, [
    { id: 1, labels: ['0', 'nginx'] },
    { id: 2, labels: ['39', 'bash'] },
  ]);
  count(lineage, 6, 41);
  count(lineage, 7, 1);
  agent.run(1);
  const second = agent.sent[1]!.batch;
  assert.equal(second.keyframe, false);
  assert.equal(second.schemaJson, '');
  const columns = columnsOf(second);
  assert.deepEqual([...columns.ids.subarray(0, columns.rowCount)], [2, 3], 'row 1 did not change');
  assert.deepEqual(columns.definitions, [{ id: 3, labels: ['1000', 'bash'] }], 'row 2 is known already');
  assert.equal(columns.values[0], 42, 'values are cumulative');
});

test('a batch goes out each tick even when nothing changed, under an id of its own', () => {
  const rig = new Rig();
  rig.attach(calls);
  const agent = new TestAgent(rig);
  agent.run(5);
  assert.equal(agent.sent.length, 5);
  assert.equal(columnsOf(agent.sent[4]!.batch).rowCount, 0);
  assert.equal(new Set(agent.sent.map((s) => s.id)).size, 5);
  const again = new TestAgent(rig, {}, 'start-2');
  again.run(5);
  assert.equal(new Set([...agent.sent, ...again.sent].map((s) => s.id)).size, 10, 'another start, other ids');
});

test('keyframes come on request, after a failure and every few minutes', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig, { keyframeEveryNs: 10n * second });
  count(lineage, 3, 9);
  agent.run(3);
  const keyframes = (): boolean[] => agent.sent.map((s) => s.batch.keyframe);
  assert.deepEqual(keyframes(), [true, false, false]);
  agent.resync('f'.repeat(32));
  agent.run(1);
  assert.equal(keyframes()[3], false, 'another lineage was meant');
  agent.resync(lineage.uuid);
  agent.run(1);
  assert.equal(keyframes()[4], true);
  agent.answer = () => 'bus/publish';
  agent.run(1);
  agent.answer = () => 'published';
  agent.run(1);
  assert.equal(keyframes().at(-1), true);
  assert.deepEqual(columnsOf(agent.sent.at(-1)!.batch).definitions.length, 1);
  agent.run(10);
  assert.equal(keyframes().filter(Boolean).length, 4);
  agent.receive({ kind: 'resync', payload: Uint8Array.from([0xff]) });
  assert.equal(agent.logged('warn').at(-1), 'unreadable resync request');
});

test('at four unconfirmed batches the lineage is not read, and nothing is lost', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig);
  agent.answer = () => undefined;
  for (let i = 0; i < 20; i++) {
    count(lineage, i % 24, 1);
    agent.run(1);
  }
  assert.equal(agent.sent.length, 4);
  assert.equal(agent.of('read').length, 4);
  for (const token of agent.open.slice()) agent.settle(token, 'published');
  agent.answer = () => 'published';
  agent.run(1);
  const joiner = new Joiner();
  for (const { batch } of agent.sent) joiner.take(batch);
  assert.deepEqual(sorted(joiner.totals()), sorted(truthOf(lineage)));
});

test('while publishing fails one batch at a time is tried, with growing waits', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig);
  agent.answer = () => 'bus/unreachable';
  for (let i = 0; i < 100; i++) {
    count(lineage, 0, 1);
    agent.run(1, 0.1);
  }
  assert.ok(agent.sent.length >= 7 && agent.sent.length <= 12, `${agent.sent.length} tries in 10 s`);
  assert.equal(agent.open.length, 0);
  assert.equal(agent.logged('warn').length, 1, 'said once');
  agent.answer = () => 'published';
  agent.run(3);
  const joiner = new Joiner();
  joiner.take(agent.sent.at(-1)!.batch);
  joiner.take(agent.sent.at(-2)!.batch);
  joiner.take(agent.sent.at(-3)!.batch);
  assert.equal(joiner.sum(), 100n);
});

test('while the bus is known to be away nothing is read; when it is back, at once and whole', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig);
  agent.run(1);
  agent.answer = () => 'bus/unreachable';
  agent.run(1);
  agent.receive({ kind: 'bus', up: false });
  const reads = agent.of('read').length;
  for (let i = 0; i < 30; i++) {
    count(lineage, i % 24, 1);
    agent.run(1);
  }
  assert.equal(agent.of('read').length, reads);
  agent.answer = () => 'published';
  agent.receive({ kind: 'bus', up: true });
  agent.run(1, 0.01);
  const last = agent.sent.at(-1)!.batch;
  assert.equal(last.keyframe, true);
  assert.equal(last.tables[0]!.ledger!.seen, 30n);
});

test('a large keyframe goes out in parts that each stand alone', () => {
  const rig = new Rig();
  const model = wideModel(16_384, 300);
  const lineage = rig.attach(model, 4);
  const agent = new TestAgent(rig);
  for (let key = 0; key < 16_384; key++) count(lineage, key, key * 1_000_003 + 1, { cpu: key % 4 });
  agent.run(1);
  assert.ok(agent.sent.length > 4, `${agent.sent.length} parts`);
  let rows = 0;
  for (const [i, { batch, bytes }] of agent.sent.entries()) {
    assert.ok(bytes <= batchBytesMax, 'within the limit');
    assert.equal(batch.part, i + 1);
    assert.equal(batch.parts, agent.sent.length);
    assert.ok(batch.keyframe && batch.schemaJson !== '', 'each part is a keyframe');
    const columns = columnsOf(batch);
    assert.equal(columns.definitions.length, columns.rowCount, 'every row is defined in its part');
    rows += columns.rowCount;
  }
  assert.equal(rows, 16_384);
  const joiner = new Joiner();
  for (const { batch } of agent.sent.toReversed()) joiner.take(batch);
  assert.deepEqual(sorted(joiner.totals()), sorted(truthOf(lineage)));
  assert.ok(
    agent.sent.slice(0, -1).every((s) => s.bytes > batchBytesMax / 2),
    'parts are filled',
  );
});

test('a row whose key is not ready waits, and comes with its label', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig);
  count(lineage, 0, 1);
  count(lineage, 1, 2);
  const slot = lineage.slots[0]![0];
  const key = slot.marks[1]!;
  slot.marks[1] = 0;
  agent.run(1);
  assert.deepEqual(
    columnsOf(agent.sent[0]!.batch).definitions.map((d) => d.id),
    [2],
  );
  slot.marks[1] = key;
  agent.run(1);
  assert.deepEqual(
    columnsOf(agent.sent[1]!.batch).definitions.map((d) => d.id),
    [1],
  );
  agent.run(1);
  assert.deepEqual(agent.of('read').at(-1)!.keysFrom, [3], 'no key is read twice');
});

test('a row that a CPU holds without a key is not asked for at each read, and serves a later key', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig);
  const joiner = new Joiner();
  const asked = (): number => agent.of('read').at(-1)!.keysFrom[0]!;
  // Row 1 is key 0's, row 2 a spare of CPU 1, row 3 key 1's.
  count(lineage, 0, 5, { cpu: 0, race: true });
  count(lineage, 1, 6, { cpu: 0 });
  agent.run(2);
  assert.equal(asked(), 4);
  count(lineage, 2, 7, { cpu: 1 });
  agent.run(3);
  assert.equal(asked(), 4);
  count(lineage, 3, 1, { cpu: 0, race: true });
  agent.run(1);
  count(lineage, 4, 2, { cpu: 1 });
  agent.receive({ kind: 'stop' });
  agent.settleAll();
  for (const { batch } of agent.sent) joiner.take(batch);
  assert.deepEqual(sorted(joiner.totals()), sorted(truthOf(lineage)), 'the last read leaves nothing out');
});

test('stop: the last counts are published and confirmed before `stopped`', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  rig.attach(models.waits[1]!);
  const agent = new TestAgent(rig);
  agent.run(2);
  agent.answer = () => undefined;
  agent.run(6);
  count(lineage, 5, 77);
  agent.receive({ kind: 'stop' });
  assert.equal(agent.of('stopped').length, 0);
  agent.answer = (s) => (s.token % 2 ? 'bus/publish' : 'published');
  for (const token of agent.open.slice()) agent.settle(token, 'published');
  for (let i = 0; i < 40 && agent.of('stopped').length === 0; i++) agent.run(1, 0.1);
  assert.equal(agent.of('stopped').length, 1);
  const joiner = new Joiner();
  for (const { batch } of agent.sent.filter((s) => s.token % 2 === 0))
    if (batch.lineage!.probe === 'calls') joiner.take(batch);
  assert.equal(joiner.sum(), 77n);
});

test('a lineage whose pins vanish is read once more and closed', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig);
  agent.run(2);
  count(lineage, 5, 77);
  rig.lineages.delete(lineage.directory);
  agent.run(3);
  assert.equal(agent.of('close').length, 1);
  assert.equal(agent.core.lineages.size, 0);
  assert.equal(columnsOf(agent.sent.at(-1)!.batch).values[0], 77);
});

test('a counter that crosses 2^53 stays exact', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig);
  for (let i = 0; i < 5; i++) {
    count(lineage, 0, 2 ** 52 + 1, { cpu: i % 2 });
    agent.run(1);
  }
  const joiner = new Joiner();
  for (const { batch } of agent.sent) joiner.take(batch);
  assert.equal(joiner.sum(), 5n * (2n ** 52n + 1n));
});

test('a lineage of another format is left alone, and one in the making is tried again', () => {
  const rig = new Rig();
  const foreign: ProbeModel = { ...calls, schemaHash: 'not hex' };
  const lineage = rig.attach(foreign);
  const agent = new TestAgent(rig);
  agent.run(10);
  assert.equal(agent.of('open').length, 1);
  assert.equal(agent.of('close').length, 1);
  rig.lineages.delete(lineage.directory);
  const made = rig.attach(calls);
  let tries = 0;
  agent.gate = (call) => {
    if (call === 'open' && ++tries <= 3) throw new Error('half made');
  };
  count(made, 0, 3);
  agent.run(6);
  assert.equal(agent.sent.length, 3);
});
