/**
 * The registry of label meanings: a new one is one file and one line here. An unknown meaning (a newer loader's) is
 * shown as a number, never dropped.
 */
import type { LabelSchema } from '../../shared/contract/lineage.ts';
import { blockLimits } from '../../shared/contract/columns.ts';
import { ipv4, ipv6, prefix } from './address.ts';
import { bucket } from './bucket.ts';
import { comm } from './comm.ts';
import { device } from './device.ts';
import { enumeration } from './enum.ts';
import { errno } from './errno.ts';
import { ethertype } from './ethertype.ts';
import { exit } from './exit.ts';
import type { DecodeContext, Decoder, Meaning } from './meaning.ts';
import { signed, unsigned } from './number.ts';
import { port } from './port.ts';
import { signal } from './signal.ts';
import { softirq } from './softirq.ts';
import { syscall } from './syscall.ts';
import { text } from './text.ts';
import { truncateUtf8 } from './truncate.ts';

export const meanings: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['u64', unsigned],
  ['s64', signed],
  ['bucket', bucket],
  ['cell', unsigned],
  ['comm', comm],
  ['device', device],
  ['enum', enumeration],
  ['errno', errno],
  ['ethertype', ethertype],
  ['exit', exit],
  ['ipv4', ipv4],
  ['ipv6', ipv6],
  ['port', port],
  ['prefix', prefix],
  ['register', unsigned],
  ['signal', signal],
  ['softirq', softirq],
  ['syscall', syscall],
  ['text', text],
  ['word', unsigned],
]);

/** Decoders of a table's labels, in schema order. */
export const decodersOf = (labels: readonly LabelSchema[], context: DecodeContext): Decoder[] =>
  labels.map((label) => {
    const meaning = meanings.get(label.meaning) ?? (label.names ? enumeration : unsigned);
    return meaning(label, context);
  });

/** The labels of the key that starts at `at`, each within the limit of a column block. */
export const decodeLabels = (decoders: readonly Decoder[], keys: DataView, at: number): string[] =>
  decoders.map((decode) => truncateUtf8(decode(keys, at), blockLimits.stringBytes));
