/** A bounded number of seeds with every test run; the same seed tells the same story; the oracle is not blind. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createRandom } from './random.ts';
import { EventQueue } from './event-queue.ts';
import { faultKinds } from './faults.ts';
import { planOf } from './plan.ts';
import { runPlan, runSeed } from './run.ts';

const seeds = Number(process.env['MUSTER_SIMULATED_SEEDS'] ?? 300);

test(`${seeds} seeds: every event is accounted for`, () => {
  const inflicted = new Set<string>();
  for (let seed = 1; seed <= seeds; seed++) {
    const result = runSeed(BigInt(seed));
    for (const kind of result.inflicted) inflicted.add(kind);
    assert.deepEqual(result.wrong, [], `seed ${seed}: npm run simulate -- --seed ${seed} --trace`);
    assert.ok(
      result.plan.hosts.length >= 3 && result.inflicted.length >= 5 && result.batches >= 200,
      `seed ${seed} is a full one`,
    );
  }
  if (seeds >= 300)
    assert.deepEqual(
      faultKinds.filter((kind) => !inflicted.has(kind)),
      [],
      'every kind of fault occurred',
    );
});

test('without faults nothing is lost, unknown or late', () => {
  for (let seed = 1n; seed <= 5n; seed++) assert.deepEqual(runPlan({ ...planOf(seed), faults: [] }).wrong, []);
});

test('the same seed gives the same trace twice', () => {
  for (const seed of [7n, 8n, 9n]) {
    const traces = [0, 1].map(() => {
      const lines: string[] = [];
      runSeed(seed, (line) => lines.push(line));
      return lines;
    });
    assert.ok(traces[0]!.length > 300);
    assert.deepEqual(traces[0], traces[1]);
  }
});

test('another seed gives another trace', () => {
  const traces = [10n, 11n].map((seed) => {
    const lines: string[] = [];
    runSeed(seed, (line) => lines.push(line));
    return lines.join('\n');
  });
  assert.notEqual(traces[0], traces[1]);
});

test('random numbers are the same for a seed, and spread', () => {
  const a = createRandom(5n);
  const b = createRandom(5n);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const n = a.below(10);
    assert.equal(n, b.below(10));
    counts[n]!++;
  }
  assert.ok(Math.min(...counts) > 900, counts.join(' '));
  assert.notEqual(createRandom(5n).next(), createRandom(6n).next());
});

test('virtual time runs in order, and equal instants in the order they were added', () => {
  const queue = new EventQueue();
  const random = createRandom(1n);
  const ran: [number, number][] = [];
  for (let i = 0; i < 2000; i++) {
    const at = random.below(300);
    queue.at(at, () => ran.push([at, i]));
  }
  queue.runUntil(1000);
  assert.equal(ran.length, 2000);
  for (let i = 1; i < ran.length; i++) {
    const [before, now] = [ran[i - 1]!, ran[i]!];
    assert.ok(before[0] < now[0] || (before[0] === now[0] && before[1] < now[1]));
  }
});
