/**
 * One message of an agent as bytes: proto/muster/v1/batch.proto, with the checksum always as the last field:
 *
 *   envelope … | 95 01 | xxh32(envelope), little-endian
 *
 * so that neither side encodes twice.
 */
import { MusterError } from '../runtime/errors.ts';
import { xxh32 } from './checksum.ts';
import { encodeMessage } from './encode.ts';
import { Batch, Durable, Refused, Resync } from './gen/muster/v1/batch.ts';
import { wireFormat, wireNewest, wireOldest } from './wire.ts';

export type { LineageRef, ProgramCost, TableBlock, TableLedger } from './gen/muster/v1/batch.ts';
export { Batch, Durable, Refused, Resync };

/** A message, headers excluded; agents split larger batches into parts. */
export const batchBytesMax = 512 * 1024;

const trailer = [0x95, 0x01] as const;

/** Encodes with the checksum set; `wireVersion` and the column blocks are the caller's (wire.ts). */
export function encodeBatch(batch: Batch): Uint8Array {
  const body = encodeMessage(Batch, { ...batch, checksum: 0 });
  const bytes = new Uint8Array(body.length + 6);
  bytes.set(body);
  bytes.set(trailer, body.length);
  new DataView(bytes.buffer).setUint32(body.length + 2, xxh32(body), true);
  return bytes;
}

/** Decodes and verifies. Throws MusterError wire/too-large, wire/malformed or wire/version. */
export function decodeBatch(bytes: Uint8Array): Batch {
  const end = bytes.length - 6;
  if (bytes.length > batchBytesMax)
    throw new MusterError('wire/too-large', 'decode batch: too large', { values: { bytes: bytes.length } });
  if (end < 0 || bytes[end] !== trailer[0] || bytes[end + 1] !== trailer[1]) throw malformed('no checksum', bytes);
  const body = bytes.subarray(0, end);
  const stated = new DataView(bytes.buffer, bytes.byteOffset).getUint32(end + 2, true);
  if (stated !== xxh32(body)) throw malformed('checksum differs', bytes);
  let batch: Batch;
  try {
    batch = Batch.decode(body);
  } catch (cause) {
    throw malformed('not a Batch', bytes, cause);
  }
  const { wireVersion } = batch;
  if (!wireFormat(wireVersion)) {
    throw new MusterError(
      'wire/version',
      `decode batch: wire version ${wireVersion}, read are ${wireOldest} to ${wireNewest}`,
      {
        remedy:
          wireVersion > wireNewest
            ? `upgrade the aggregator, or start the agent with --wire-version ${wireNewest}`
            : 'upgrade the agent',
      },
    );
  }
  const l = batch.lineage;
  if (!batch.host || !l || l.uuid.length !== 16 || l.bootId.length !== 16 || !l.probe || batch.generation === 0n) {
    throw malformed('identity missing', bytes);
  }
  return batch;
}

const malformed = (what: string, bytes: Uint8Array, cause?: unknown): MusterError =>
  new MusterError('wire/malformed', `decode batch: ${what}`, { values: { bytes: bytes.length }, cause });
