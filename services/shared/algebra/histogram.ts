/**
 * Log-linear buckets: 8 per octave, exact below 8. Bucket b of a value v, with e = floor(log2 v):
 *   v < 8: b = v      else: b = (e - 2) * 8 + ((v >> (e - 3)) & 7)
 * The width of a bucket is at most 1/8 of its lower bound, so its midpoint is within 6.25 % of any value in it.
 * The kernel computes the same (muster_bucket in bpf/muster.bpf.h).
 */
export const bucketsPerOctave = 8;
/** Buckets of all 64-bit values: 0…495. */
export const bucketCount = 496;

/** Bucket of a value below 2^64. */
export function bucketOf(value: bigint): number {
  if (value < 8n) return Number(value);
  const e = value.toString(2).length - 1;
  return (e - 2) * 8 + Number((value >> BigInt(e - 3)) & 7n);
}

/** Lowest value of a bucket. */
export function bucketLower(bucket: number): bigint {
  if (bucket < 8) return BigInt(bucket);
  const e = Math.floor(bucket / 8) + 2;
  return (8n + BigInt(bucket % 8)) << BigInt(e - 3);
}

/** Highest value of a bucket, inclusive. */
export const bucketUpper = (bucket: number): bigint =>
  bucket >= bucketCount - 1 ? 2n ** 64n - 1n : bucketLower(bucket + 1) - 1n;
