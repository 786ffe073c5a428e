/** A generation's life continued from wherever an agent died, by the next one. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { encodeControl, slotStates } from '../../services/shared/contract/control.ts';
import { models } from '../simulation/catalogue.ts';
import { controlOf, count, Joiner, Rig, second, sorted, TestAgent, truthOf } from './rig.ts';

const small = models.calls[0]!;
const eager = { sealGapNs: 2n * second, durableRetryNs: 5n * second };

class Killed extends Error {}

/** Kills the agent at its `at`-th call of a port, again and again from one start to the next, while events go on. */
function surviveKills(at: number): void {
  const rig = new Rig();
  const lineage = rig.attach(small);
  const joiner = new Joiner();
  const states = new Set<string>();
  let agent: TestAgent | undefined;
  let durable = 0n;
  for (let i = 0; i < 60; i++) {
    for (let k = 0; k < 5; k++) count(lineage, (i * 7 + k * 5) % 24, i + 1, { cpu: k % 2 });
    try {
      if (!agent) {
        agent = new TestAgent(rig, eager, `start-${i}`);
        let calls = 0;
        if (i < 50) {
          agent.gate = () => {
            if (++calls >= at) throw new Killed();
          };
        }
        const core = agent;
        core.performer.perform = wrap(core);
      }
      agent.run(1);
      // The stream keeps what was published; the aggregator has it durable by the next tick.
      for (const { batch } of agent.sent.splice(0)) {
        joiner.take(batch);
        if (batch.sealed && batch.generation > durable) durable = batch.generation;
      }
      if (durable > 0n) agent.durable(lineage, durable);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      for (const { batch } of agent!.sent.splice(0)) {
        joiner.take(batch);
        if (batch.sealed && batch.generation > durable) durable = batch.generation;
      }
      states.add(controlOf(lineage).state);
      lineage.lockedBy = undefined;
      agent = undefined;
    }
  }
  agent!.run(3);
  for (const { batch } of agent!.sent) joiner.take(batch);
  assert.deepEqual(sorted(joiner.totals()), sorted(truthOf(lineage)), `killed at call ${at}`);
  assert.deepEqual(agent!.of('alarm'), []);
}

/** The performer turns what a port throws into an event; a kill ends the process instead. */
function wrap(agent: TestAgent): typeof agent.performer.perform {
  const { performer } = agent;
  const perform = performer.perform.bind(performer);
  const { gate } = agent;
  let dead = false;
  agent.gate = (call) => {
    try {
      gate(call);
    } catch (error) {
      dead = true;
      throw error;
    }
  };
  return (effect) => {
    const event = perform(effect);
    if (dead) throw new Killed();
    return event;
  };
}

test('killed at any call of a port, again and again, the totals stay exact', () => {
  for (let at = 1; at <= 90; at++) surviveKills(at);
});

test('every state of the control word is adopted', () => {
  for (const state of slotStates) {
    const rig = new Rig();
    const lineage = rig.attach(small);
    for (let key = 0; key < 7; key++) count(lineage, key, 1);
    if (state !== 'counting') lineage.control = encodeControl({ slot: 1, state, generation: 2n });
    if (state === 'clearing') {
      // Generation 1 was durable, and half of its slot is zeroed.
      lineage.retired.set([1n, 7n], 32);
      lineage.slots[0]![0].clear('ids');
      lineage.slots[0]![0].clear('cells');
    }
    count(lineage, 7, 1);
    const agent = new TestAgent(rig, eager);
    agent.run(2);
    agent.durable(lineage, 1n);
    agent.run(1);
    const joiner = new Joiner();
    for (const { batch } of agent.sent) joiner.take(batch);
    assert.equal(joiner.sum(), state === 'clearing' ? 1n : 8n, state);
    assert.equal(controlOf(lineage).state, 'counting', state);
    assert.equal(agent.sent.at(-1)!.batch.tables[0]!.retiredSeen, state === 'counting' ? 8n : 7n, state);
    assert.deepEqual(agent.of('alarm'), [], state);
  }
});

test('a control word that is none of ours is left alone', () => {
  const rig = new Rig();
  const lineage = rig.attach(small);
  lineage.control = 0x7en;
  const agent = new TestAgent(rig, eager);
  agent.run(3);
  assert.equal(agent.of('read').length, 0);
  assert.equal(lineage.control, 0x7en);
  agent.receive({ kind: 'stop' });
  assert.equal(agent.of('stopped').length, 1);
});

test('a control word changed by another while the lock is held is found out before anything is written', () => {
  const rig = new Rig();
  const lineage = rig.attach(small);
  const agent = new TestAgent(rig, eager);
  agent.run(2);
  for (let key = 0; key < 7; key++) count(lineage, key, 1);
  const perform = agent.performer.perform.bind(agent.performer);
  agent.performer.perform = (effect) => {
    // Between the decision to flip and the store.
    if (
      effect.kind === 'write-control' &&
      effect.expected === encodeControl({ slot: 0, state: 'counting', generation: 1n })
    ) {
      lineage.control = encodeControl({ slot: 1, state: 'sealing', generation: 9n });
    }
    return perform(effect);
  };
  agent.run(1);
  assert.equal(agent.logged('error').length, 1);
  agent.run(3);
  assert.equal(controlOf(lineage).generation, 9n, 'adopted, not overwritten');
});
