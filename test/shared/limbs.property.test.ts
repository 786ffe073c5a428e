/** Two-limb counters against BigInt: addition wraps like the kernel's, and the join is a semilattice that counts once. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addInto, compare, joinMax, setBigInt, toBigInt, toNumber } from '../../services/shared/algebra/limbs.ts';

const top = 1n << 64n;
const edges = [
  0n,
  1n,
  0xffffffffn,
  0x100000000n,
  0x1ffffffffn,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  1n << 63n,
  top - 1n,
];
const u64 = fc.oneof(
  fc.constantFrom(...edges),
  fc.bigInt({ min: 0n, max: top - 1n }),
  fc.bigInt({ min: 0n, max: 1n << 34n }),
);
const of = (...values: bigint[]): Uint32Array => {
  const a = new Uint32Array(values.length * 2);
  values.forEach((v, i) => setBigInt(a, i * 2, v));
  return a;
};

test('values survive', () => {
  fc.assert(fc.property(u64, (v) => assert.equal(toBigInt(of(v), 0), v)));
  fc.assert(
    fc.property(u64, (v) => assert.equal(toNumber(of(v), 0), Number(v >> 32n) * 2 ** 32 + Number(v & 0xffffffffn))),
  );
});

test('the layout is a little-endian u64', () => {
  fc.assert(fc.property(u64, (v) => assert.equal(new BigUint64Array(of(v).buffer)[0], v)));
});

test('addition is BigInt addition modulo 2^64', () => {
  fc.assert(
    fc.property(u64, u64, (x, y) => {
      const a = of(0n, x);
      addInto(a, 2, of(y), 0);
      assert.equal(toBigInt(a, 2), (x + y) % top);
      assert.equal(toBigInt(a, 0), 0n, 'the neighbour is untouched');
    }),
    { numRuns: 1000 },
  );
});

test('comparison is BigInt comparison', () => {
  fc.assert(
    fc.property(u64, u64, (x, y) => {
      assert.equal(compare(of(x), 0, of(y), 0), x < y ? -1 : x > y ? 1 : 0);
      assert.equal(compare(of(x), 0, of(x), 0), 0);
    }),
  );
});

/** Joins values in order; what is left in `last` and `sum`. */
function joinAll(values: readonly bigint[], last = 0n, sum = 0n): { last: bigint; sum: bigint; rises: number } {
  const l = of(last);
  const s = of(sum);
  let rises = 0;
  for (const v of values) if (joinMax(l, 0, of(v), 0, s, 0)) rises++;
  return { last: toBigInt(l, 0), sum: toBigInt(s, 0), rises };
}
const max = (values: readonly bigint[]): bigint => values.reduce((a, b) => (a > b ? a : b), 0n);

test('the join is the maximum, and its sum counts each unit once', () => {
  fc.assert(
    fc.property(fc.array(u64, { minLength: 1 }), u64, (values, start) => {
      const r = joinAll(values, 0n, start);
      assert.equal(r.last, max(values));
      assert.equal(r.sum, (start + max(values)) % top);
    }),
    { numRuns: 1000 },
  );
});

test('the join is idempotent, commutative and associative', () => {
  fc.assert(
    fc.property(
      fc.array(u64, { maxLength: 8 }),
      fc.array(u64, { maxLength: 8 }),
      fc.array(u64, { maxLength: 8 }),
      (x, y, z) => {
        const whole = joinAll([...x, ...y, ...z]);
        assert.deepEqual({ ...joinAll([...x, ...x, ...y, ...z]), rises: 0 }, { ...whole, rises: 0 }, 'idempotent');
        assert.deepEqual({ ...joinAll([...z, ...x, ...y]), rises: 0 }, { ...whole, rises: 0 }, 'commutative');
        const right = joinAll([...y, ...z]);
        assert.deepEqual({ ...joinAll([...x, right.last]), rises: 0 }, { ...whole, rises: 0 }, 'associative');
      },
    ),
    { numRuns: 500 },
  );
});

test('a value that does not rise is reported as such', () => {
  fc.assert(
    fc.property(u64, u64, (a, b) => {
      const rose = joinMax(of(a), 0, of(b), 0, of(0n), 0);
      assert.equal(rose, b > a);
    }),
  );
});
