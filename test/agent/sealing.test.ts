/** The life of a generation: flip, grace, final batch, durable, cleared, used again. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readRetiredRecord } from '../../services/agent/kernel/retired.ts';
import { models } from '../simulation/catalogue.ts';
import { columnsOf, controlOf, count, Joiner, Rig, second, sorted, TestAgent, truthOf } from './rig.ts';

const calls = models.calls[2]!;
const small = models.calls[0]!;
const eager = { sealGapNs: 2n * second, durableRetryNs: 5n * second };

test('a table filled past three quarters is sealed, made durable, cleared and used again', () => {
  const rig = new Rig();
  const lineage = rig.attach(small);
  const agent = new TestAgent(rig, eager);
  for (let key = 0; key < 6; key++) count(lineage, key, 10);
  agent.run(2);
  assert.deepEqual(
    controlOf(lineage),
    { slot: 0, state: 'counting', generation: 1n },
    '6 of 8 rows: not more than 3/4',
  );
  count(lineage, 6, 10);
  agent.run(1);
  assert.deepEqual(controlOf(lineage), { slot: 1, state: 'sealed', generation: 2n });
  const final = agent.sent.at(-1)!.batch;
  assert.deepEqual([final.sealed, final.keyframe], [true, true]);
  assert.equal(final.generation, 1n);
  assert.equal(columnsOf(final).definitions.length, 7);

  count(lineage, 7, 5);
  agent.run(1);
  const next = agent.sent.at(-1)!.batch;
  assert.deepEqual([next.generation, next.keyframe, next.sealed], [2n, true, false]);
  assert.equal(next.tables[0]!.retiredSeen, 70n, 'the sealed generation counts as retired for the next one');
  agent.durable(lineage, 0n);
  assert.equal(controlOf(lineage).state, 'sealed', 'only an earlier generation is durable');

  agent.durable(lineage, 1n);
  assert.deepEqual(controlOf(lineage), { slot: 1, state: 'counting', generation: 2n });
  assert.equal(lineage.slots[0]![0].empty, true);
  assert.deepEqual(readRetiredRecord(lineage.retired, 1n, 1), [70n]);
  agent.run(1);
  assert.equal(agent.sent.at(-1)!.batch.tables[0]!.retiredSeen, 70n);
});

test('many generations under 24 keys in 8 rows: totals by key and overflow are exact, each equation holds', () => {
  const rig = new Rig();
  const lineage = rig.attach(small);
  const agent = new TestAgent(rig, eager);
  const joiner = new Joiner();
  for (let i = 0; i < 120; i++) {
    for (let k = 0; k < 5; k++) count(lineage, (i * 7 + k * 5) % 24, i + 1, { cpu: k % 2 });
    agent.run(1);
    const { generation, state } = controlOf(lineage);
    if (state === 'sealed' && i % 3 === 0) agent.durable(lineage, generation - 1n);
  }
  agent.receive({ kind: 'stop' });
  agent.settleAll();
  for (const { batch } of agent.sent) joiner.take(batch);
  assert.ok(controlOf(lineage).generation > 15n, `${controlOf(lineage).generation} generations`);
  assert.deepEqual(sorted(joiner.totals()), sorted(truthOf(lineage)));
  assert.deepEqual(agent.of('alarm'), []);
  assert.deepEqual(agent.logged('error'), []);
  const seen = agent.sent.at(-1)!.batch.tables[0]!;
  assert.equal(
    seen.retiredSeen + seen.ledger!.seen,
    [...truthOf(lineage).values()].reduce((x, y) => x + y),
  );
});

test('an old generation and a mostly idle one are sealed too', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig, { ...eager, sealAgeNs: 30n * second });
  agent.run(40);
  assert.equal(controlOf(lineage).generation, 1n, 'an empty one is not');
  count(lineage, 0, 1);
  agent.run(1);
  assert.equal(controlOf(lineage).generation, 2n);

  const rig2 = new Rig();
  const idle = rig2.attach(calls);
  const watcher = new TestAgent(rig2, { ...eager, idleRowsMin: 8, idleNs: 300n * second });
  for (let key = 0; key < 12; key++) count(idle, key, 1);
  for (let i = 0; i < 280; i++) {
    count(idle, 0, 1);
    watcher.run(1);
  }
  assert.equal(controlOf(idle).generation, 1n);
  watcher.run(100);
  assert.equal(controlOf(idle).generation, 2n);
});

test('no event of a program that is late is lost: the grace period is waited for', () => {
  const rig = new Rig();
  const lineage = rig.attach(small);
  const agent = new TestAgent(rig, eager);
  agent.autoGrace = false;
  for (let key = 0; key < 7; key++) count(lineage, key, 1);
  agent.run(3);
  assert.equal(controlOf(lineage).state, 'sealing');
  const before = agent.of('read').length;
  const late = lineage.slots[0]![0];
  late.begin(0, 100);
  agent.run(3);
  assert.equal(agent.of('read').length, before, 'nothing is read until the old slot is final');
  late.finish(0, 3, 100, 0, false);
  agent.receive({ kind: 'grace-passed', directory: lineage.directory });
  agent.settleAll();
  assert.equal(controlOf(lineage).state, 'sealed');
  assert.equal(agent.sent.at(-1)!.batch.tables[0]!.ledger!.seen, 107n);
  assert.deepEqual(agent.of('alarm'), []);
});

test('a sealed slot that does not add up raises an alarm with the numbers', () => {
  const rig = new Rig();
  const lineage = rig.attach(small);
  const agent = new TestAgent(rig, eager);
  for (let key = 0; key < 7; key++) count(lineage, key, 1);
  lineage.slots[0]![0].begin(1, 5);
  agent.run(3);
  assert.deepEqual(
    agent.of('alarm').map((a) => [a.table, a.generation, a.seen, a.sum]),
    [['calls', 1n, 12n, 7n]],
  );
  assert.ok(
    agent.sent.some((x) => x.batch.sealed),
    'it is published all the same, with its ledger',
  );
});

test('a final batch that fails is read and sent again; one without word of durability too', () => {
  const rig = new Rig();
  const lineage = rig.attach(small);
  const agent = new TestAgent(rig, eager);
  for (let key = 0; key < 7; key++) count(lineage, key, 1);
  agent.answer = (s) => (s.batch.sealed ? 'bus/stream-full' : 'published');
  agent.run(5);
  const finals = (): number => agent.sent.filter((s) => s.batch.sealed).length;
  assert.equal(finals() >= 1, true);
  assert.equal(agent.sent.filter((s) => s.batch.generation === 2n).length, 0, 'the next generation waits for it');
  agent.answer = () => 'published';
  agent.run(2);
  const confirmed = finals();
  agent.run(6);
  assert.equal(finals(), confirmed + 1, 'published again after the retry time');
  agent.resync(lineage.uuid);
  agent.run(1);
  assert.equal(finals(), confirmed + 2, 'and when a keyframe is asked for');
  assert.equal(new Set(agent.sent.map((s) => s.id)).size, agent.sent.length);
});

test('a slot that a clear left unempty is cleared again, and not used before', () => {
  const rig = new Rig();
  const lineage = rig.attach(small);
  const agent = new TestAgent(rig, eager);
  for (let key = 0; key < 7; key++) count(lineage, key, 1);
  agent.run(3);
  rig.faults.clearLeaves = 12;
  agent.durable(lineage, 1n);
  agent.run(10);
  assert.equal(agent.logged('warn')[0], 'a cleared slot is not empty: clearing it again');
  assert.equal(controlOf(lineage).state, 'counting');
  assert.equal(lineage.slots[0]![0].empty, true);
});

test('counts in a slot that should be empty block sealing, and say so', () => {
  const rig = new Rig();
  const lineage = rig.attach(small);
  lineage.slots[0]![1].begin(0, 1);
  const agent = new TestAgent(rig, eager);
  for (let key = 0; key < 7; key++) count(lineage, key, 1);
  agent.run(5);
  assert.equal(controlOf(lineage).generation, 1n);
  assert.equal(agent.logged('error').length, 1);
  assert.equal(agent.sent.length, 5, 'reading goes on');
});

test('an agent without the lock reads and publishes, follows flips, and takes over when the other ends', () => {
  const rig = new Rig();
  const lineage = rig.attach(small);
  const owner = new TestAgent(rig, eager);
  owner.run(1);
  const other = new TestAgent(rig, { ...eager, lockRetryNs: second }, 'start-2');
  for (let i = 0; i < 40; i++) {
    for (let key = 0; key < 7; key++) count(lineage, (key + i) % 24, 1);
    owner.run(1, 0.5);
    other.run(1, 0.5);
    if (controlOf(lineage).state === 'sealed' && i % 4 === 0)
      owner.durable(lineage, controlOf(lineage).generation - 1n);
  }
  assert.ok(controlOf(lineage).generation > 4n, 'generations passed');
  const writes = ['write-control', 'write-retired', 'clear-slot', 'wait-grace'] as const;
  for (const kind of writes) assert.deepEqual(other.of(kind), []);
  owner.performer.closeAll();
  const { generation } = controlOf(lineage);
  for (let i = 0; i < 20; i++) {
    for (let key = 0; key < 7; key++) count(lineage, (key + i) % 24, 1);
    other.run(1);
    if (controlOf(lineage).state === 'sealed') other.durable(lineage, controlOf(lineage).generation - 1n);
  }
  assert.ok(controlOf(lineage).generation > generation, 'the second agent seals now');
  const joiner = new Joiner();
  for (const { batch } of [...owner.sent, ...other.sent]) joiner.take(batch);
  assert.deepEqual(sorted(joiner.totals()), sorted(truthOf(lineage)));
});

test('a lineage whose probe was unloaded is sealed and given away without a newer one', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig, eager);
  count(lineage, 0, 3);
  agent.run(1);
  agent.receive({ kind: 'found', directories: [lineage.directory], ended: [lineage.directory] });
  agent.run(1);
  assert.equal(controlOf(lineage).state, 'sealed');
  agent.durable(lineage, 1n);
  agent.run(1);
  assert.equal(agent.of('retire').length, 1);
});

test('an ended lineage is sealed, made durable, and its pins are given to the keeper to remove', () => {
  const rig = new Rig();
  const old = rig.attach(calls);
  const agent = new TestAgent(rig, eager);
  count(old, 0, 3);
  agent.run(1);
  count(old, 1, 4);
  rig.boottimeNs += second;
  const fresh = rig.attach(calls);
  agent.run(3);
  assert.equal(controlOf(old).state, 'sealed');
  assert.deepEqual(agent.of('retire'), [], 'not before it is durable');
  agent.durable(old, 1n);
  agent.run(2);
  assert.deepEqual(
    agent.of('retire').map((r) => r.uuid),
    [old.uuid],
  );
  agent.receive({ kind: 'retire-answered', directory: old.directory, ok: true, reason: '' });
  rig.lineages.delete(old.directory);
  count(fresh, 2, 5);
  agent.run(3);
  assert.equal(agent.core.lineages.size, 1);
  const joiner = new Joiner();
  for (const { batch } of agent.sent) joiner.take(batch);
  assert.equal(joiner.sum(), 12n);
  assert.equal(controlOf(fresh).generation, 1n);
});
