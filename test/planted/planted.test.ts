/**
 * The simulation is worth something if it finds bugs: each planted one must make the general oracle complain within a
 * bounded number of seeds; the number of the first seed that did is printed. Longer: MUSTER_PLANTED_SEEDS=1000.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { bugs } from './bugs.ts';
import { plant } from './mutate.ts';

const seedsMax = Number(process.env['MUSTER_PLANTED_SEEDS'] ?? 600);

test('without a bug the copy is as right as the original', async () => {
  const { runSeed, remove } = await plant(undefined);
  try {
    for (let seed = 1n; seed <= 5n; seed++) assert.deepEqual(runSeed(seed).wrong, []);
  } finally {
    remove();
  }
});

/** Bug → the complaint that caught it, printed when all are done. */
const caught: string[] = [];

for (const bug of bugs) {
  test(`caught: ${bug.name}`, async (t) => {
    const { runSeed, remove } = await plant(bug);
    try {
      for (let seed = 1; seed <= seedsMax; seed++) {
        const { wrong } = runSeed(BigInt(seed));
        if (wrong.length === 0) continue;
        const complaint = wrong[0]!.split('\n')[0]!.slice(0, 120);
        t.diagnostic(`seed ${seed}: ${complaint}`);
        caught.push(`${bug.name.padEnd(60)} seed ${String(seed).padStart(3)}  ${complaint}`);
        return;
      }
      assert.fail(`not caught in ${seedsMax} seeds`);
    } finally {
      remove();
    }
  });
}

after(() =>
  console.log(`${caught.length} of ${bugs.length} planted bugs caught by the recount:\n${caught.join('\n')}`),
);
