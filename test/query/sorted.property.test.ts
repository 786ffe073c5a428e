/** Sorting in slices gives what sorting at once gives, and others get their turn in between. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { sorted } from '../../services/query/answer/sorted.ts';

test('slices are sorted as a whole would be, equal ones in the order they came', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 30_000 }),
      fc.integer({ min: 1, max: 50_000 }),
      fc.nat(),
      (n, values, seed) => {
        let state = seed;
        const items = Array.from({ length: n }, (_, at) => {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          return { value: state % values, at };
        });
        const compare = (a: { value: number }, b: { value: number }): number => a.value - b.value;
        let compared = 0;
        let most = 0;
        const sorting = sorted(items, (a, b) => (compared++, compare(a, b)));
        let step = sorting.next();
        for (; !step.done; step = sorting.next()) {
          most = Math.max(most, compared);
          compared = 0;
        }
        assert.deepEqual(step.value, items.toSorted(compare));
        assert.ok(most <= 4096 * 13, `${most} comparisons in one slice`);
      },
    ),
    { numRuns: 20 },
  );
});
