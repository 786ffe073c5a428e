/** The wire version an agent writes, what it then cannot carry, and what it is told of messages that were refused. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Refused } from '../../services/shared/contract/batch.ts';
import { models } from '../simulation/catalogue.ts';
import { count, Joiner, Rig, sorted, TestAgent, truthOf } from './rig.ts';

const calls = models.calls[2]!;

test('messages are of the version told, and the next agent may write another', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const joiner = new Joiner();
  for (const [i, wireVersion] of [2, 1, 2].entries()) {
    const agent = new TestAgent(rig, {}, `start-${i}`, wireVersion);
    count(lineage, i, 5);
    agent.run(3);
    assert.deepEqual([...new Set(agent.sent.map((s) => s.batch.wireVersion))], [wireVersion]);
    for (const { batch } of agent.sent) joiner.take(batch);
    agent.performer.closeAll();
  }
  assert.deepEqual(sorted(joiner.totals()), sorted(truthOf(lineage)));
});

test('what the aggregator refused is in the log, with what to do', () => {
  const rig = new Rig();
  rig.attach(calls);
  const agent = new TestAgent(rig);
  agent.run(1);
  const payload = Refused.encode({ reason: 'wire/version', detail: 'upgrade the aggregator' }).finish();
  agent.receive({ kind: 'refused', payload });
  agent.receive({ kind: 'refused', payload: Buffer.from([0xff]) });
  const said = agent.of('log').slice(-2);
  assert.deepEqual(said[0]!.fields, { code: 'wire/version', reason: 'upgrade the aggregator' });
  assert.deepEqual(
    said.map((e) => e.level),
    ['warn', 'warn'],
  );
});

test('a lineage that the version cannot carry is held back, others are read; an agent of the newest sends both', () => {
  const rig = new Rig();
  rig.attach(calls);
  rig.attach({ ...calls, probe: 'visitors', tables: calls.tables.map((t) => ({ ...t, kind: 'distinct' })) });
  const older = new TestAgent(rig, {}, 'start-1', 1);
  older.run(3);
  assert.deepEqual([...new Set(older.sent.map((s) => s.batch.lineage!.probe))], ['calls']);
  const [held] = older.of('log').filter((e) => e.level === 'warn');
  assert.match(held!.message, /held back, the kernel counts on: its tables need a newer --wire-version/);
  assert.deepEqual(held!.fields['tables'], ['calls (distinct)']);
  older.performer.closeAll();
  const newest = new TestAgent(rig, {}, 'start-2');
  newest.run(1);
  assert.deepEqual([...new Set(newest.sent.map((s) => s.batch.lineage!.probe))], ['calls', 'visitors']);
});
