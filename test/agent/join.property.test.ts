/** The law that the whole design rests on: whatever batches arrive, in whatever order and number, the join is right. */
import { test } from 'node:test';
import fc from 'fast-check';
import assert from 'node:assert/strict';
import type { Batch } from '../../services/shared/contract/batch.ts';
import type { ErrorCode } from '../../services/shared/runtime/errors.ts';
import { models } from '../simulation/catalogue.ts';
import { controlOf, count, Joiner, Rig, second, sorted, TestAgent, truthOf } from './rig.ts';

const outcome = fc.constantFrom<'published' | ErrorCode | 'unanswered'>(
  'published',
  'published',
  'published',
  'bus/publish',
  'unanswered',
);
const tick = fc.record({
  events: fc.array(fc.record({ key: fc.nat(23), n: fc.integer({ min: 1, max: 2 ** 40 }), cpu: fc.nat(2) }), {
    maxLength: 8,
  }),
  outcome,
  durable: fc.boolean(),
  restart: fc.boolean(),
});

test('any order, any duplicates, and what was lost made good by a keyframe: the join gives the kernel’s totals', () => {
  fc.assert(
    fc.property(
      fc.array(tick, { minLength: 1, maxLength: 25 }),
      fc.constantFrom(0, 2),
      fc.infiniteStream(fc.nat()),
      (ticks, size, numbers) => {
        const rig = new Rig();
        const lineage = rig.attach(models.calls[size]!, 3);
        const limits = { sealGapNs: 2n * second, keyframeEveryNs: 1000n * second };
        let agent = new TestAgent(rig, limits);
        const arrived: Batch[] = [];
        const take = (): void => {
          for (const { batch } of agent.sent.splice(0)) {
            // A batch whose publish fails or is never answered may have arrived all the same, or not.
            if (agent.answer({ token: 0, id: '', batch, bytes: 0 }) === 'published' || numbers.next().value! % 2)
              arrived.push(batch);
          }
        };
        for (const [i, t] of ticks.entries()) {
          if (t.restart) {
            lineage.lockedBy = undefined;
            agent = new TestAgent(rig, limits, `start-${i}`);
          }
          for (const e of t.events) count(lineage, e.key, e.n, { cpu: e.cpu });
          agent.answer = () => (t.outcome === 'unanswered' ? undefined : t.outcome);
          agent.run(1);
          take();
          const { state, generation } = controlOf(lineage);
          const arrivedFinal = arrived.some((b) => b.sealed && b.generation === generation - 1n);
          if (t.durable && state === 'sealed' && arrivedFinal) agent.durable(lineage, generation - 1n);
          take();
        }
        // What stays unanswered stops the reading: an agent that starts anew sends all that is left.
        lineage.lockedBy = undefined;
        agent = new TestAgent(rig, limits, 'start-last');
        agent.run(4);
        take();
        const shuffled = arrived
          .flatMap((b) => (numbers.next().value! % 4 === 0 ? [b, b] : [b]))
          .map((b) => ({ b, at: numbers.next().value! }));
        shuffled.sort((x, y) => x.at - y.at);
        const joiner = new Joiner();
        for (const { b } of shuffled) joiner.take(b);
        assert.deepEqual(sorted(joiner.totals()), sorted(truthOf(lineage)));
      },
    ),
    { numRuns: 150 },
  );
});
