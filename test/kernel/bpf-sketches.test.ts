/** Sketches in the kernel: their rows are those of the model in TypeScript, and what they say of known calls is true. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { estimateDistinct, registerOf } from '../../services/shared/algebra/distinct.ts';
import { bitsOf } from '../../services/shared/algebra/filter.ts';
import { cellOf, heavyPart } from '../../services/shared/algebra/heavy.ts';
import { stir } from '../../services/shared/algebra/sketch-hash.ts';
import { keyMark } from '../../services/shared/contract/key-mark.ts';
import { generate } from './generator.ts';
import { expectBalanced } from './labelled.ts';
import { compileProbe, loadProbe, ownCgroup, requireBpf, type LoadedProbe } from './probe.ts';

const first = 5000;

function hashOf(...words: number[]): bigint {
  const view = new DataView(new ArrayBuffer(words.length * 8));
  words.forEach((word, i) => {
    view.setBigUint64(i * 8, BigInt(word), true);
  });
  return stir(keyMark(view, 0, words.length));
}

function sketches(t: TestContext): { probe: LoadedProbe; call: (keys: number, calls: number) => Promise<unknown> } {
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'sketches', { scope }, compileProbe('probes/sketches.bpf.c'));
  const call = (keys: number, calls: number): Promise<unknown> =>
    generate(['--call', 'number', '--first', first, '--keys', keys, '--calls', calls, '--cgroup', directory]);
  return { probe, call };
}

const table = (probe: LoadedProbe, name: string): number => probe.meta.tables.findIndex((s) => s.name === name);
const numbers = (keys: number): number[] => Array.from({ length: keys }, (_, i) => first + i);

test('registers in the kernel are the model’s, and estimate the number of different values', async (t) => {
  if (!requireBpf(t)) return;
  const { probe, call } = sketches(t);
  const keys = 3000;
  await call(keys, 2 * keys);
  const contents = probe.read(undefined, table(probe, 'kinds'));
  for (const parity of [0, 1]) {
    const rows = contents.rows.filter((r) => r.key[0] === BigInt(parity));
    const values = numbers(keys).filter((n) => n % 2 === parity);
    const expected = new Map<number, bigint>();
    for (const n of values) {
      const pair = registerOf(hashOf(n));
      expected.set(pair, (expected.get(pair) ?? 0n) + 2n);
    }
    assert.deepEqual(new Map(rows.map((r) => [Number(r.key[1]), r.values[0]!] as const)), expected);
    const { value, bound } = estimateDistinct(expected.keys());
    assert.ok(Math.abs(value - values.length) <= bound, `${value} ± ${bound} for ${values.length}`);
  }
  assert.equal(contents.seen, BigInt(2 * keys));
  expectBalanced(probe);
});

test('heavy hitters in the kernel have rows, and cells bound what every key may lack', async (t) => {
  if (!requireBpf(t)) return;
  const { probe, call } = sketches(t);
  const keys = 20_000;
  const rounds = 3;
  await call(keys, rounds * keys);
  const contents = probe.read(undefined, table(probe, 'weights'));
  const weigh = (n: number): bigint => BigInt(rounds) * (n % 100 === 0 ? 1000n : 1n);
  const all = numbers(keys).reduce((sum, n) => sum + weigh(n), 0n);
  assert.equal(contents.seen, all);
  expectBalanced(probe);
  const own = new Map<number, bigint>();
  const shared = new Map<number, bigint>();
  for (const { key, values } of contents.rows) {
    const cell = Number(key[1]! >> 1n);
    if (key[1]! & 1n) {
      assert.equal(key[0], 0n);
      shared.set(cell, values[0]!);
    } else {
      assert.equal(cell, cellOf(hashOf(Number(key[0]), 0)), `cell of ${key[0]}`);
      own.set(Number(key[0]), values[0]!);
    }
  }
  for (const n of numbers(keys)) {
    const lower = own.get(n) ?? 0n;
    const upper = lower + (shared.get(cellOf(hashOf(n, 0))) ?? 0n);
    assert.ok(lower <= weigh(n) && weigh(n) <= upper, `${n}: ${lower} ≤ ${weigh(n)} ≤ ${upper}`);
    assert.ok(own.has(n) || weigh(n) * BigInt(heavyPart) < all, `${n} is heavy and has no row`);
  }
  t.diagnostic(`${own.size} keys of ${keys} have rows, ${shared.size} cells are in use`);
  assert.ok(own.size < keys / 5, 'most small keys have none');
});

test('a value makes a row when it is first seen, and its bits are the model’s', async (t) => {
  if (!requireBpf(t)) return;
  const { probe, call } = sketches(t);
  const keys = 1000;
  await call(keys, 2 * keys);
  const bits = 256 * 64;
  const expected = new Set<number>();
  const seen = new Set<number>();
  for (const n of numbers(keys)) {
    const own = bitsOf(hashOf(n), bits);
    if (own.every((bit) => expected.has(bit))) continue; // taken for one that was seen
    seen.add(n);
    for (const bit of own) expected.add(bit);
  }
  const rows = probe.read(undefined, table(probe, 'firsts')).rows;
  assert.deepEqual(new Set(rows.map((r) => Number(r.key[0]))), seen);
  assert.ok(
    rows.every((r) => r.values[0] === 1n),
    'once each',
  );
  const filter = probe.read(undefined, table(probe, 'firsts_filter'));
  const set = new Set<number>();
  for (const { key, values } of filter.rows) {
    for (let bit = 0; bit < 64; bit++) if ((values[1]! >> BigInt(bit)) & 1n) set.add(Number(key[0]) * 64 + bit);
  }
  assert.deepEqual(set, expected);
  assert.equal(filter.seen, BigInt(expected.size), 'the ledger counts bits');
  expectBalanced(probe);
});
