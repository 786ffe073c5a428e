/**
 * What a label's bytes mean: one small file a meaning, and decoders.ts lists them. A key's words are little-endian
 * (x86-64 and aarch64). A decoder never fails: what it does not know is shown as a number.
 */
import type { LabelSchema } from '../../shared/contract/lineage.ts';
import type { NameOf } from './names.ts';
import type { Privacy } from '../config.ts';

export interface DecodeContext {
  /** Where the agent runs: `uname -m`. */
  readonly machine: string;
  /** Names that this host knows; absent: numbers stay numbers. */
  readonly nameOf?: NameOf;
  /** The program's name that the kernel captured in the same key, where the table has one. */
  readonly comm?: Decoder | undefined;
  /** What must not leave the host as it is; absent: everything may. */
  readonly privacy?: Privacy | undefined;
}

/** Text of one label of the key that starts at `at`. */
export type Decoder = (keys: DataView, at: number) => string;
export type Meaning = (label: LabelSchema, context: DecodeContext) => Decoder;

/** The unsigned number of 1, 2, 4 or 8 bytes at `at`; 0 for any other size. */
export function readId(keys: DataView, at: number, size: number): bigint {
  switch (size) {
    case 1:
      return BigInt(keys.getUint8(at));
    case 2:
      return BigInt(keys.getUint16(at, true));
    case 4:
      return BigInt(keys.getUint32(at, true));
    case 8:
      return keys.getBigUint64(at, true);
    default:
      return 0n;
  }
}

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
