/** The known increments that committer.ts adds up. */
export const incrementOf = (position: number): bigint => BigInt((position * 7919) % 1000);

/** Of positions 1…last. */
export function incrementsTo(last: number): bigint {
  let sum = 0n;
  for (let position = 1; position <= last; position++) sum += incrementOf(position);
  return sum;
}
