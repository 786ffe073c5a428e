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
