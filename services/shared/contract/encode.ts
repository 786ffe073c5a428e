/** Messages as bytes, all through one buffer that is kept between calls: encoding allocates the result only. */
import type { BinaryWriter } from '@bufbuild/protobuf/wire';

interface Codec<T> {
  encode(message: T, writer?: BinaryWriter): BinaryWriter;
}

/** A buffer that grew beyond this is not kept. */
const keptBytes = 1 << 20;

/** Absent while it is in use: a message that cannot be encoded takes it along, half-written. */
let spare: BinaryWriter | undefined;

export function encodeMessage<T>(codec: Codec<T>, message: T): Uint8Array {
  const taken = spare;
  spare = undefined;
  const writer = codec.encode(message, taken);
  const bytes = writer.finish();
  if (bytes.length <= keptBytes) spare = writer;
  return bytes;
}

const u64Max = 2n ** 64n - 1n;

/** A sum as the wire has room for it: a forged figure near 2^64 must not stop a commit. */
export const u64 = (sum: bigint): bigint => (sum > u64Max ? u64Max : sum < 0n ? 0n : sum);
