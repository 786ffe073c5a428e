/** The fuzzers in little: no crash, no hang, half of all well formed to the end. `npm run fuzz` is the long run. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createRandom } from '../simulation/random.ts';
import { createBatchFuzz } from './batches.ts';
import { createRequestFuzz } from './requests.ts';
import { describeTally, faultsOf, fuzz } from './tally.ts';

for (const [what, create] of [
  ['requests', createRequestFuzz],
  ['batches', createBatchFuzz],
] as const) {
  test(`${what}: none crashes or hangs`, () => {
    const seed = BigInt(Date.now());
    const tally = fuzz(1500, create(createRandom(seed)), () => undefined);
    assert.deepEqual(faultsOf(what, tally), [], `seed ${seed}\n${describeTally(what, tally)}`);
    assert.ok(tally.outcomes.size >= 4, describeTally(what, tally));
  });
}

test('a crash is told with its message', () => {
  const tally = fuzz(
    3,
    (i) => {
      if (i === 1) throw new Error('planted');
      return { outcome: 'OK', through: true };
    },
    () => undefined,
  );
  assert.match(faultsOf('x', tally).join(), /crashed on message 1: Error: planted/);
});
