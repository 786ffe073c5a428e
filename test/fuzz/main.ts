/**
 * `npm run fuzz -- [--count N] [--seed S] [--only requests|batches]`: N requests and N bus messages from one seed, half of them well formed to the
 * end; counts by status. Fails on a crash, a hang or growing memory, and prints the seed that shows it again.
 */
import { parseArgs } from 'node:util';
import { createRandom } from '../simulation/random.ts';
import { createBatchFuzz } from './batches.ts';
import { createRequestFuzz } from './requests.ts';
import { describeTally, faultsOf, fuzz } from './tally.ts';

const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { count: text, seed: text, only: text } });
const count = Number(values.count ?? 1_000_000);
const seed = BigInt(values.seed ?? Date.now());
const random = createRandom(seed);
const faults: string[] = [];
for (const [what, one] of [
  ['requests', createRequestFuzz(random.fork())],
  ['batches', createBatchFuzz(random.fork())],
] as const) {
  if ((values.only ?? what) !== what) continue;
  const began = performance.now();
  const tally = fuzz(count, one, (done) => {
    process.stderr.write(`${what} ${done} of ${count}, ${((performance.now() - began) / 1000).toFixed(0)} s\n`);
  });
  process.stdout.write(`${describeTally(what, tally)}\n`);
  faults.push(...faultsOf(what, tally));
}
for (const fault of faults) process.stderr.write(`error: ${fault}\n`);
if (faults.length > 0) process.stderr.write(`again with: npm run fuzz -- --seed ${seed} --count ${count}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
