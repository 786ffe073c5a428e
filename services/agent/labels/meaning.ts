/**
 * What a label's bytes mean: one small file a meaning, and decoders.ts lists them. A key's words are little-endian
 * (x86-64 and aarch64). A decoder never fails: what it does not know is shown as a number.
 */
import type { LabelSchema } from '../../shared/contract/lineage.ts';

/** Where the agent runs: `uname -m`. */
export interface DecodeContext {
  readonly machine: string;
}

/** Text of one label of the key that starts at `at`. */
export type Decoder = (keys: DataView, at: number) => string;
export type Meaning = (label: LabelSchema, context: DecodeContext) => Decoder;

/** Runs of names from a first number → name by number. */
export function namesOf(runs: readonly (readonly [first: number, names: string])[]): ReadonlyMap<number, string> {
  const byNumber = new Map<number, string>();
  for (const [first, names] of runs) names.split(/\s+/).forEach((name, i) => byNumber.set(first + i, name));
  return byNumber;
}

/** The lowest 53 bits' worth of a signed number of 1, 2, 4 or 8 bytes: exact for ids, errors and signals. */
export function readSmall(keys: DataView, at: number, size: number): number {
  switch (size) {
    case 1:
      return keys.getInt8(at);
    case 2:
      return keys.getInt16(at, true);
    case 4:
      return keys.getInt32(at, true);
    default:
      return keys.getInt32(at + 4, true) * 0x100000000 + keys.getUint32(at, true);
  }
}
