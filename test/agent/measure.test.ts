/** Measuring what programs cost: when it is asked for, and how it travels. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { models } from '../simulation/catalogue.ts';
import { Rig, second, TestAgent } from './rig.ts';

const calls = models.calls[2]!;

test('the cost of programs is measured at intervals, and rides with the batches that follow', () => {
  const rig = new Rig();
  const lineage = rig.attach(calls);
  const agent = new TestAgent(rig, {}, 'start-1', undefined, 60n * second);
  const asked = () => agent.effects.filter((e) => e.kind === 'measure').length;
  agent.run(5);
  assert.equal(asked(), 0, 'not at once');
  assert.ok(!agent.sent.some((s) => 'periodNs' in s.batch.programs[0]! && s.batch.programs[0].periodNs !== undefined));
  agent.run(2);
  assert.equal(asked(), 1);
  const period = { periodNs: 250_000_000n, periodRuns: 1000n, periodRunTimeNs: 40_000n };
  const program = agent.sent[0]!.batch.programs[0]!.program;
  const uuid = lineage.directory.split('/')[1]!;
  agent.receive({
    kind: 'measured',
    programs: [
      { uuid, program, ...period },
      { uuid: 'f'.repeat(32), program, periodNs: 1n, periodRuns: 1n, periodRunTimeNs: 1n },
    ],
  });
  agent.run(1);
  const { periodNs, periodRuns, periodRunTimeNs } = agent.sent.at(-1)!.batch.programs[0]!;
  assert.deepEqual({ periodNs, periodRuns, periodRunTimeNs }, period);
  agent.receive({ kind: 'measure-failed', reason: 'away' });
  agent.run(60);
  assert.equal(asked(), 2);
  assert.equal(agent.sent.at(-1)!.batch.programs[0]!.periodNs, period.periodNs, 'the newest that there is');
});
