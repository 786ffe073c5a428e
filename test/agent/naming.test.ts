/** Rows that need names wait for them, all of their batch does, and nothing is lost meanwhile or when none comes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LabelSchema } from '../../services/shared/contract/lineage.ts';
import { models, type ProbeModel } from '../simulation/catalogue.ts';
import { columnsOf, controlOf, count, Joiner, Rig, TestAgent } from './rig.ts';

/** The number of the simulated tables as a process. */
const [table] = models.calls[2]!.tables;
const labels: LabelSchema[] = table!.labels.map((l) => (l.name === 'number' ? { ...l, meaning: 'process' } : l));
const model: ProbeModel = { ...models.calls[2]!, tables: [{ ...table!, labels }] };

const answer = (agent: TestAgent, name: (id: bigint) => string | undefined): void => {
  const { directory, wanted } = agent.of('look-up').at(-1)!;
  agent.receive({ kind: 'named', directory, wanted, names: wanted.map(({ id }) => name(id)) });
  agent.settleAll();
};

test('a batch waits for the names of its new rows; a name is asked for once', () => {
  const rig = new Rig();
  const lineage = rig.attach(model);
  const agent = new TestAgent(rig);
  count(lineage, 1, 5);
  count(lineage, 2, 6);
  agent.run(3);
  assert.equal(agent.sent.length, 0, 'nothing goes out before the answer');
  assert.deepEqual(
    agent.of('look-up').map((e) => e.wanted),
    [
      [
        { kind: 'process', id: 1n },
        { kind: 'process', id: 39n },
      ],
    ],
  );
  answer(agent, (id) => (id === 1n ? 'init' : undefined));
  assert.deepEqual(
    columnsOf(agent.sent[0]!.batch).definitions.map((d) => d.labels),
    [
      ['init[1]', 'nginx'],
      ['nginx[39]', 'nginx'],
    ],
  );
  count(lineage, 1, 5);
  agent.run(1);
  assert.equal(agent.of('look-up').length, 1);
  assert.equal(agent.sent.length, 2);
  agent.resync();
  agent.run(1);
  assert.equal(agent.of('look-up').length, 1, 'nor for a keyframe');
  assert.deepEqual(columnsOf(agent.sent[2]!.batch).definitions.length, 2);
});

test('a sealed generation waits likewise, and every count arrives under one label', () => {
  const rig = new Rig();
  const lineage = rig.attach(model);
  const agent = new TestAgent(rig, { sealAgeNs: 3_000_000_000n, sealGapNs: 0n });
  const joiner = new Joiner();
  let counted = 0n;
  for (let i = 0; i < 40; i++) {
    // A new row each tick, so that the flip meets rows that have no name yet.
    count(lineage, i % 24, i + 1);
    counted += BigInt(i + 1);
    agent.tick();
    agent.settleAll();
    if (i % 2 === 1)
      while (agent.core.lineages.get(lineage.directory)!.naming) answer(agent, (id) => (id % 2n ? 'odd' : undefined));
    const { generation } = controlOf(lineage);
    if (generation > 1n) agent.durable(lineage, generation - 1n);
  }
  for (let i = 0; i < 4; i++) {
    agent.run(1);
    while (agent.core.lineages.get(lineage.directory)!.naming) answer(agent, () => undefined);
  }
  for (const { batch } of agent.sent) joiner.take(batch);
  assert.ok(controlOf(lineage).generation > 3n, 'generations went by');
  assert.equal(joiner.sum(), counted);
  assert.equal(joiner.totals().get('?'), undefined, 'each row is defined');
});

test('the last read waits for names too', () => {
  const rig = new Rig();
  const lineage = rig.attach(model);
  const agent = new TestAgent(rig);
  agent.run(1);
  count(lineage, 3, 7);
  agent.receive({ kind: 'stop' });
  agent.settleAll();
  assert.equal(agent.of('stopped').length, 0);
  answer(agent, () => 'late');
  agent.run(1);
  assert.equal(agent.of('stopped').length, 1);
  const joiner = new Joiner();
  for (const { batch } of agent.sent) joiner.take(batch);
  assert.equal(joiner.sum(), 7n);
});
