/**
 * What sketches say is true: 1,000 random trials each of distinct counts and heavy hitters against their stated bounds,
 * Bloom filters against their stated rate, and joining over hosts, slots and time against counting at once. The model
 * shares the hash with the kernel (test/kernel/bpf-sketches.test.ts compares the rows themselves).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { estimateDistinct, registerOf, standardError } from '../../services/shared/algebra/distinct.ts';
import { bitsOf, bitsSet, falsePositiveRate, hasAll } from '../../services/shared/algebra/filter.ts';
import { cellOf, heavyPart, readCell } from '../../services/shared/algebra/heavy.ts';
import { RowTable } from '../../services/shared/algebra/row-table.ts';
import { stir } from '../../services/shared/algebra/sketch-hash.ts';
import { SumTable } from '../../services/shared/algebra/sum-table.ts';
import { keyMark } from '../../services/shared/contract/key-mark.ts';
import { HeavyModel } from './heavy-model.ts';

const view = new DataView(new ArrayBuffer(16));
/** Hash of the key of two words (value, 0), as the kernel has it. */
function hashOf(value: number): bigint {
  view.setBigUint64(0, BigInt(value), true);
  return stir(keyMark(view, 0, 2));
}

/** Small, seeded, good enough for trials: xorshift. */
function random(seed: number): () => number {
  let state = (seed * 2654435761) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

test('1,000 distinct counts lie within their bounds, however hosts and time are cut', () => {
  let worst = 0;
  for (let trial = 0; trial < 1000; trial++) {
    const next = random(trial + 1);
    const n = Math.floor(Math.exp(next() * Math.log(4000))) + (trial % 100 === 0 ? 40_000 : 0);
    const start = Math.floor(next() * 2 ** 40);
    const hosts = [new Set<number>(), new Set<number>(), new Set<number>()];
    for (let i = 0; i < n; i++) {
      const pair = registerOf(hashOf(start + i));
      hosts[i % 3]!.add(pair);
      if (i % 2 === 0) hosts[(i + 1) % 3]!.add(pair); // seen by two hosts, counted once
    }
    const { value, bound } = estimateDistinct(new Set(hosts.flatMap((h) => [...h])));
    assert.ok(Math.abs(value - n) <= bound, `trial ${trial}: ${value} ± ${bound} for ${n}`);
    worst = Math.max(worst, Math.abs(value - n) / bound);
  }
  assert.ok(worst > 0.3, 'the bound is not idle');
});

test('the stated standard error is the one that occurs', () => {
  for (const n of [100, 1000, 10_000]) {
    let squares = 0;
    const trials = 60;
    for (let trial = 0; trial < trials; trial++) {
      const pairs = new Set<number>();
      for (let i = 0; i < n; i++) pairs.add(registerOf(hashOf(trial * 1_000_000 + i)));
      squares += (estimateDistinct(pairs).value - n) ** 2;
    }
    const found = Math.sqrt(squares / trials);
    // 60 trials give the error itself to about 9 %.
    assert.ok(found < 1.4 * standardError(n) + 0.5, `${n}: ${found.toFixed(2)}, stated ${standardError(n).toFixed(2)}`);
  }
  assert.ok(standardError(1e6) / 1e6 < 0.021);
});

test('nothing counted is no value, and one value is one', () => {
  assert.deepEqual(estimateDistinct([]), { value: 0, bound: 0 });
  assert.equal(estimateDistinct([registerOf(hashOf(7))]).value, 1);
});

test('1,000 fleets: every key lies within its bounds, every heavy one is listed, totals are exact', () => {
  let [listed, heavy] = [0, 0];
  for (let trial = 0; trial < 1000; trial++) {
    const next = random(trial + 1);
    const keys = 50 + Math.floor(next() * 3000);
    const skew = 0.5 + next() * 1.5;
    const fleet = Array.from({ length: 1 + (trial % 3) }, () => new HeavyModel(2));
    const truth = new Map<number, number>();
    const perHost = fleet.map(() => new Map<number, number>());
    for (let i = 0; i < 600; i++) {
      const key = Math.floor(keys * next() ** (1 + skew));
      const n = 1 + Math.floor(next() * 1500);
      const h = i % fleet.length;
      fleet[h]!.add(key, cellOf(hashOf(key)), n, i % 2);
      truth.set(key, (truth.get(key) ?? 0) + n);
      perHost[h]!.set(key, (perHost[h]!.get(key) ?? 0) + n);
    }
    const sum = (of: (m: HeavyModel) => number): number => fleet.reduce((total, m) => total + of(m), 0);
    const all = [...truth.values()].reduce((a, b) => a + b, 0);
    assert.equal(
      sum((m) => m.seen()),
      all,
    );
    assert.equal(
      sum((m) => m.counted()),
      all,
    );
    for (const [key, value] of truth) {
      const lower = sum((m) => m.own(key));
      const upper = lower + sum((m) => m.shared(cellOf(hashOf(key))));
      assert.ok(lower <= value && value <= upper, `trial ${trial}, key ${key}: ${lower} ≤ ${value} ≤ ${upper}`);
    }
    fleet.forEach((m, h) => {
      for (const [key, value] of perHost[h]!) {
        if (value * heavyPart < m.seen()) continue;
        heavy++;
        assert.ok(m.own(key) > 0, `trial ${trial}: ${key} carries ${value} of ${m.seen()} and has no row`);
      }
      listed += m.rows();
    });
  }
  assert.ok(heavy > 0 && listed >= heavy);
});

test('a filter states its rate of false positives within 1.2 ×, and never denies what it has seen', () => {
  const bits = 2 ** 14;
  for (const values of [1500, 2000, 2600]) {
    const words = new Uint32Array(bits / 32);
    for (let v = 0; v < values; v++) for (const bit of bitsOf(hashOf(v), bits)) words[bit >>> 5]! |= 1 << (bit & 31);
    for (let v = 0; v < values; v++) assert.ok(hasAll(words, bitsOf(hashOf(v), bits)));
    const stated = falsePositiveRate(bitsSet(words), bits);
    // At least 800 false ones are expected: chance moves the rate by 14 % once in 10,000 times.
    const asked = Math.ceil(800 / stated);
    let wrong = 0;
    for (let v = 0; v < asked; v++) if (hasAll(words, bitsOf(hashOf(1e9 + v), bits))) wrong++;
    const found = wrong / asked;
    assert.ok(found < stated * 1.2 && found > stated / 1.2, `${values}: ${found} found, ${stated} stated`);
  }
});

test('bits that several lineages set join by OR, their numbers add up, and rows say them whatever the order', () => {
  const word = fc.record({ row: fc.integer({ min: 1, max: 5 }), bit: fc.integer({ min: 0, max: 63 }) });
  fc.assert(
    fc.property(fc.array(fc.array(word, { maxLength: 40 }), { minLength: 1, maxLength: 4 }), (lineages) => {
      const sums = new SumTable(2, 6, 1);
      const union = new Map<number, bigint>();
      let count = 0;
      for (const lineage of lineages) {
        const rows = new RowTable(2);
        const own = new Map<number, bigint>();
        for (const { row, bit } of lineage) {
          const before = own.get(row) ?? 0n;
          if ((before >> BigInt(bit)) & 1n) continue;
          count++;
          own.set(row, before | (1n << BigInt(bit)));
          union.set(row, (union.get(row) ?? 0n) | (1n << BigInt(bit)));
          rows.define(row, row);
          const bits = own.get(row)!;
          const set = bits.toString(2).replaceAll('0', '').length;
          const values = new Uint32Array([set, 0, Number(bits & 0xffffffffn), Number(bits >> 32n)]);
          rows.join({ rowCount: 1, ids: new Uint32Array([row]), values }, undefined);
          rows.join({ rowCount: 1, ids: new Uint32Array([row]), values }, undefined);
        }
        rows.addTo(sums);
      }
      let added = 0;
      for (let row = 1; row <= 5; row++) {
        const at = row * 4;
        added += sums.values[at]!;
        const bits = (BigInt(sums.values[at + 3]!) << 32n) | BigInt(sums.values[at + 2]!);
        assert.equal(bits, union.get(row) ?? 0n);
      }
      assert.equal(added, count);
    }),
  );
});

test('the text of a cell says which, and whether it is shared', () => {
  assert.deepEqual(readCell('7'), { cell: 3, shared: true });
  assert.deepEqual(readCell('6'), { cell: 3, shared: false });
  assert.equal(readCell(''), undefined);
});
