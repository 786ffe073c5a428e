/** Log-linear buckets: they tile the 64-bit numbers, in order, each within its stated width. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  bucketCount,
  bucketLower,
  bucketOf,
  bucketUpper,
  bucketsPerOctave,
} from '../../services/shared/algebra/histogram.ts';

const top = 1n << 64n;

test('small values by brute force: a value lies in its bucket and in no other', () => {
  for (let v = 0n; v < 70_000n; v++) {
    const b = bucketOf(v);
    assert.ok(bucketLower(b) <= v && v <= bucketUpper(b), `${v} in bucket ${b}`);
  }
});

test('buckets tile all 64-bit values without gap or overlap', () => {
  assert.equal(bucketLower(0), 0n);
  for (let b = 0; b < bucketCount; b++) {
    assert.equal(bucketOf(bucketLower(b)), b, `lower of ${b}`);
    assert.equal(bucketOf(bucketUpper(b)), b, `upper of ${b}`);
    if (b + 1 < bucketCount) assert.equal(bucketUpper(b) + 1n, bucketLower(b + 1), `after ${b}`);
    const width = bucketUpper(b) - bucketLower(b) + 1n;
    assert.ok(b < bucketsPerOctave ? width === 1n : width * 8n <= bucketLower(b), `width of ${b}`);
  }
  assert.equal(bucketUpper(bucketCount - 1), top - 1n);
  assert.equal(bucketOf(top - 1n), bucketCount - 1);
});

test('any value: in its bucket, monotonic, midpoint within 6.25 %', () => {
  const value = fc.oneof(
    fc.bigInt({ min: 0n, max: top - 1n }),
    fc.nat(63).chain((e) => fc.bigInt({ min: 1n << BigInt(e), max: (2n << BigInt(e)) - 1n })),
  );
  fc.assert(
    fc.property(value, value, (v, w) => {
      const b = bucketOf(v);
      assert.ok(bucketLower(b) <= v && v <= bucketUpper(b));
      if (v <= w) assert.ok(b <= bucketOf(w));
      const mid = (bucketLower(b) + bucketUpper(b)) / 2n;
      const off = mid > v ? mid - v : v - mid;
      assert.ok(off * 10_000n <= v * 625n, `${v}: midpoint ${mid}`);
    }),
    { numRuns: 2000 },
  );
});
