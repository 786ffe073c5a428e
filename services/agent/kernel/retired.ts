/**
 * The retired record of the control map (contract/control.ts): Σ `seen` of all generations up to one, by table.
 * The port hands it as control words 32…95: the record of an even generation, then that of an odd one.
 */
import { retiredWords } from '../../shared/contract/control.ts';

const halfOf = (generation: bigint): number => Number(generation & 1n) * retiredWords;

/** `seen` by table through `generation`; undefined when the record of that generation is not there. */
export function readRetiredRecord(words: BigUint64Array, generation: bigint, tables: number): bigint[] | undefined {
  if (generation === 0n) return new Array<bigint>(tables).fill(0n);
  const at = halfOf(generation);
  if (words[at] !== generation) return undefined;
  return Array.from(words.subarray(at + 1, at + 1 + tables));
}

/** The words with the record of `generation` written into its half; the other half stays as it is. */
export function withRetiredRecord(words: BigUint64Array, generation: bigint, seen: readonly bigint[]): BigUint64Array {
  const next = words.slice();
  const at = halfOf(generation);
  next.fill(0n, at, at + retiredWords);
  next[at] = generation;
  seen.forEach((value, t) => (next[at + 1 + t] = value));
  return next;
}
