/**
 * The registry of label meanings: a new one is one file and one line here. An unknown meaning (a newer loader's) is
 * shown as a number, never dropped.
 */
import type { LabelSchema } from '../../shared/contract/lineage.ts';
import { blockLimits } from '../../shared/contract/columns.ts';
import { ipv4, ipv6, prefix } from './address.ts';
import { bucket } from './bucket.ts';
import { cgroup } from './cgroup.ts';
import { cmdline } from './cmdline.ts';
import { comm } from './comm.ts';
import { container } from './container.ts';
import { device } from './device.ts';
import { dropReason } from './drop-reason.ts';
import { enumeration } from './enum.ts';
import { errno } from './errno.ts';
import { ethertype } from './ethertype.ts';
import { exit } from './exit.ts';
import { irq } from './irq.ts';
import { readId, type DecodeContext, type Decoder, type Meaning } from './meaning.ts';
import type { NameKind, NameWanted } from './names.ts';
import { netdev } from './netdev.ts';
import { signed, unsigned } from './number.ts';
import { pod } from './pod.ts';
import { port } from './port.ts';
import { hide } from './privacy.ts';
import { process } from './process.ts';
import { signal } from './signal.ts';
import { softirq } from './softirq.ts';
import { stack } from './stack.ts';
import { syscall } from './syscall.ts';
import { text } from './text.ts';
import { truncateUtf8 } from './truncate.ts';

export const meanings: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['u64', unsigned],
  ['s64', signed],
  ['bucket', bucket],
  ['cell', unsigned],
  ['cgroup', cgroup],
  ['cmdline', cmdline],
  ['comm', comm],
  ['container', container],
  ['device', device],
  ['drop_reason', dropReason],
  ['enum', enumeration],
  ['errno', errno],
  ['ethertype', ethertype],
  ['exit', exit],
  ['ipv4', ipv4],
  ['ipv6', ipv6],
  ['irq', irq],
  ['netdev', netdev],
  ['pod', pod],
  ['port', port],
  ['prefix', prefix],
  ['register', unsigned],
  ['process', process],
  ['signal', signal],
  ['softirq', softirq],
  ['stack', stack],
  ['syscall', syscall],
  ['text', text],
  ['word', unsigned],
]);

/** Decoders of a table's labels, in schema order. */
export function decodersOf(labels: readonly LabelSchema[], context: DecodeContext): Decoder[] {
  const captured = labels.find((l) => l.meaning === 'comm');
  const within = { ...context, comm: captured && comm(captured, context) };
  return labels.map((label) => {
    const meaning = meanings.get(label.meaning) ?? (label.names ? enumeration : unsigned);
    return hide(meaning(label, within), label.meaning, context.privacy);
  });
}

/** What must be looked up before a label of this meaning can be decoded. */
const lookedUp: Readonly<Record<string, readonly NameKind[]>> = {
  cgroup: ['cgroup'],
  container: ['cgroup'],
  pod: ['cgroup'],
  process: ['process'],
  cmdline: ['cmdline', 'process'],
  device: ['device'],
  irq: ['irq'],
  netdev: ['netdev'],
  stack: ['stack'],
};

/** The names that the labels of the key at `at` need. */
export type NamesNeeded = (keys: DataView, at: number) => NameWanted[];

/** Undefined: the labels say all by themselves. */
export function namesNeededBy(labels: readonly LabelSchema[]): NamesNeeded | undefined {
  const needing = labels.flatMap((l) =>
    (Object.hasOwn(lookedUp, l.meaning) ? lookedUp[l.meaning]! : []).map((kind) => ({ kind, ...l })),
  );
  if (needing.length === 0) return undefined;
  return (keys, at) => needing.map(({ kind, offset, size }) => ({ kind, id: readId(keys, at + offset, size) }));
}

/** The labels of the key that starts at `at`, each within the limit of a column block. */
export const decodeLabels = (decoders: readonly Decoder[], keys: DataView, at: number): string[] =>
  decoders.map((decode) => truncateUtf8(decode(keys, at), blockLimits.stringBytes));
