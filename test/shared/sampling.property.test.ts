/** The law of sampled labels: the truth lies within the stated bound, whatever sizes and rhythm the events have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addSampled, nothingSampled, pendingOf, samplingBound } from '../../services/shared/algebra/sampling.ts';

/** As in tests of any machine the same: xorshift128+ would do, this is mulberry32. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Picks of blocks, as bpf/row.h: how many of [at, at + n) are picked. */
function picker(weight: number, next: () => number): (at: number, n: number) => number {
  const picks = new Map<number, number>();
  const pick = (block: number): number => {
    if (!picks.has(block)) picks.set(block, block * weight + Math.floor(next() * weight));
    return picks.get(block)!;
  };
  return (at, n) => {
    let found = 0;
    for (let block = Math.floor(at / weight); block * weight < at + n; block++)
      if (pick(block) >= at && pick(block) < at + n) found++;
    return found;
  };
}

test('in 1,000 trials at least 990 truths lie within their bound, and what no row holds is less than a block', () => {
  const next = random(7);
  let [within, bounded] = [0, 0];
  for (let trial = 0; trial < 1000; trial++) {
    const weight = 2 ** (1 + Math.floor(next() * 6));
    const keys = 1 + Math.floor(next() * weight * 2);
    // A rhythm that may fit the blocks; or keys at random; sizes of one unit, or of any.
    const rhythm = next() < 0.5;
    const sized = next() < 0.5;
    const picks = picker(weight, next);
    let [seen, given, truth, value] = [0, 0, 0, 0];
    const events = 500 + Math.floor(next() * 4000);
    for (let e = 0; e < events; e++) {
      const key = rhythm ? e % keys : Math.floor(next() * next() * keys);
      const n = sized ? Math.floor(next() * 3 * weight * next()) : 1;
      const found = picks(seen, n) * weight;
      seen += n;
      given += found;
      if (key !== 0) continue;
      truth += n;
      value += found;
    }
    const account = { ...nothingSampled, seen: BigInt(seen), given: BigInt(given), weightMax: BigInt(weight) };
    const pending = pendingOf(addSampled(nothingSampled, account));
    assert.ok(pending > -weight && pending < weight, `pending ${pending} of blocks of ${weight}`);
    const bound = samplingBound((weight - 1) * value, weight);
    if (Math.abs(truth - value) <= bound) within++;
    if (bound < truth) bounded++;
  }
  assert.ok(within >= 990, `${within} of 1,000 within their bound`);
  assert.ok(bounded > 300, `only ${bounded} bounds are below the value itself: they say nothing`);
});
