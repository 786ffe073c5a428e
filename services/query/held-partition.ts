/**
 * One partition at one version, and what was made of it for the needs of requests: blobs decoded and sorted by host, windows
 * added up. What is made is never changed, so that requests share it; the next version starts from it.
 */
import type { BlobCache } from './checkpoint/blob-cache.ts';
import { decodeBlob } from './checkpoint/blobs.ts';
import type { Dictionary } from './checkpoint/dictionary.ts';
import { hostsOf, type LoadedPartition, type PartitionHosts } from './checkpoint/fleet.ts';
import type { Need } from './checkpoint/need.ts';
import { sumWindows, type WindowBlob, type WindowSum } from './checkpoint/window-sums.ts';
import { reject } from './answer/rejection.ts';
import { formatBlobName, parseBlobName, type BlobName } from '../shared/contract/checkpoint.ts';
import { decodeHead, type WindowValues } from '../shared/contract/checkpoint-codec.ts';
import { MusterError } from '../shared/runtime/errors.ts';
import type { CheckpointReader, CheckpointView } from '../shared/runtime/ports/checkpoint-store.ts';

/** Blobs asked for in one round trip. */
const blobsPerCall = 256;
/** Needs of one partition that are kept made, and sums of windows that the next version may start from. */
export const needsKept = 12;

interface NamedBlob {
  readonly text: string;
  readonly name: BlobName;
  readonly digest: string;
  readonly bytes: number;
}

/** One partition at one version. */
export interface Held {
  readonly view: CheckpointView;
  readonly committedMs: number;
  readonly names: ReadonlyMap<string, NamedBlob>;
  readonly damaged: readonly string[];
  /** When it was begun to be read: of two the later begun is the newer. */
  readonly order: number;
  readonly made: Map<string, Made>;
  /** Sums of windows of the versions before, by need: the next may start from them. */
  readonly before: ReadonlyMap<string, Sums>;
}

/** What was made of a partition for one need. */
export interface Made {
  readonly hosts: PartitionHosts;
  /** Its label numbers are of this one. */
  readonly dictionary: Dictionary;
  readonly sums: Sums;
  /** About the bytes that it keeps from being dropped. */
  readonly weight: number;
}

/** Sums of windows by table. */
type Sums = ReadonlyMap<string, WindowSum>;

/** Encoded bytes that one request reads, of all partitions together. */
export interface Scan {
  bytes: number;
}

/** What making works with. */
export interface Maker {
  readonly port: CheckpointReader;
  readonly cache: BlobCache;
  /** Encoded bytes that one request may read, and bytes that what is made of one partition may keep. */
  readonly scanBytes: number;
  readonly madeWeight: number;
  /** Lets others run. */
  readonly giveWay: () => Promise<void>;
  /** False once another dictionary has begun: then nothing made with this one is kept. */
  readonly isCurrent: (dictionary: Dictionary) => boolean;
}

/** The newest version of a partition; `known` is the one held, begun to be read before. Undefined where there is none. */
export async function viewPartition(
  port: CheckpointReader,
  partition: number,
  order: number,
  heldNow: () => Held | undefined,
  sumsWeight: number,
): Promise<Held | undefined> {
  const view = await port.view(partition);
  if (!view) return undefined;
  const known = heldNow();
  const names = new Map<string, NamedBlob>();
  const damaged: string[] = [];
  for (const [text, { digest, bytes }] of view.names) {
    const same = known?.names.get(text);
    try {
      names.set(
        text,
        same?.digest === digest && same.bytes === bytes ? same : { text, name: parseBlobName(text), digest, bytes },
      );
    } catch {
      damaged.push(text);
    }
  }
  const committedMs = Number(decodeHead(view.head.head).committedWallMs);
  return { view, committedMs, names, damaged, order, made: new Map(), before: sumsBefore(known, sumsWeight) };
}

/** The newest sums, and those before it that have room. */
function sumsBefore(known: Held | undefined, weightMax: number): Map<string, Sums> {
  const made = [...(known?.made ?? [])].map(([key, { sums }]) => [key, sums] as const);
  const all = [...(known?.before ?? []), ...made].filter(([, sums]) => sums.size > 0);
  let weight = 0;
  const fits = all
    .toReversed()
    .filter(([, sums], i) => i < needsKept && ((weight += weightOf(sums)) <= weightMax || i === 0));
  return new Map(fits.toReversed());
}

/** `held` made for a need; 'moved' when the store is at another version. Throws Rejected too-large. */
export async function make(
  m: Maker,
  held: Held,
  need: Need,
  dictionary: Dictionary,
  scan: Scan,
): Promise<Made | 'moved'> {
  const known = held.made.get(need.key);
  if (known?.dictionary === dictionary) {
    held.made.delete(need.key);
    held.made.set(need.key, known);
    return known;
  }
  const loaded = await readBlobs(m, held, need, dictionary, scan);
  if (loaded === 'moved') return 'moved';
  // What many partitions have at hand they would else make in one go.
  await m.giveWay();
  const sums: Sums = need.windowsSummed ? await sumsOf(m, held, loaded) : new Map();
  const summed = need.windowsSummed ? new Map([...sums].map(([table, { hosts }]) => [table, hosts])) : undefined;
  const weight = loaded.blobs.reduce(
    (n, { name, blob }) => n + (summed && name.kind === 'window' ? 0 : blob.weight),
    0,
  );
  const made: Made = { hosts: hostsOf(loaded, summed), dictionary, sums, weight: weight + weightOf(sums) };
  if (m.isCurrent(dictionary)) keepMade(held, need, made, m.madeWeight);
  return made;
}

/** The least lately used leave first. */
function keepMade({ made }: Held, need: Need, latest: Made, weightMax: number): void {
  made.set(need.key, latest);
  let weight = 0;
  for (const { weight: w } of made.values()) weight += w;
  for (const [key, { weight: w }] of made) {
    if (key === need.key || (made.size <= needsKept && weight <= weightMax)) break;
    made.delete(key);
    weight -= w;
  }
}

async function sumsOf({ cache, giveWay }: Maker, held: Held, loaded: LoadedPartition): Promise<Map<string, WindowSum>> {
  const { partition } = loaded;
  const byTable = new Map<string, WindowBlob[]>();
  for (const { name, blob } of loaded.blobs) {
    if (name.kind !== 'window' || blob.kind !== 'window') continue;
    const text = formatBlobName(name);
    const digest = held.names.get(text)?.digest ?? '';
    const of = byTable.get(name.table) ?? [];
    byTable.set(name.table, of);
    of.push({ text, digest, window: blob.window });
  }
  const find = (text: string, digest: string): WindowValues | undefined => {
    const blob = cache.get(partition, text, digest);
    return blob?.kind === 'window' ? blob.window : undefined;
  };
  const sums = new Map<string, WindowSum>();
  for (const [table, blobs] of byTable) {
    const made = [...held.made.values()].map((m) => m.sums);
    const known = [...made, ...held.before.values()].map((s) => s.get(table)).filter((s) => s !== undefined);
    const summing = sumWindows(blobs, known, find);
    let step = summing.next();
    for (; !step.done; step = summing.next()) await giveWay();
    sums.set(table, step.value);
  }
  return sums;
}

async function readBlobs(
  m: Maker,
  { view, committedMs, names, damaged }: Held,
  need: Need,
  dictionary: Dictionary,
  scan: Scan,
): Promise<LoadedPartition | 'moved'> {
  const { partition, head } = view;
  const keep = m.isCurrent(dictionary);
  const blobs: LoadedPartition['blobs'][number][] = [];
  const missing: NamedBlob[] = [];
  let bytesMissing = 0;
  for (const wanted of names.values()) {
    if (wanted.name.kind !== 'host' && !need.wants(wanted.name)) continue;
    const blob = keep ? m.cache.get(partition, wanted.text, wanted.digest) : undefined;
    if (blob) blobs.push({ name: wanted.name, blob });
    else {
      missing.push(wanted);
      bytesMissing += wanted.bytes;
    }
  }
  scan.bytes += bytesMissing;
  if (scan.bytes > m.scanBytes) {
    reject({
      kind: 'too-large',
      what: 'bytes to read',
      found: scan.bytes,
      limit: m.scanBytes,
      fix: 'ask for a shorter range',
    });
  }
  const broken = [...damaged];
  for (let i = 0; i < missing.length; i += blobsPerCall) {
    if (i > 0) await m.giveWay();
    const part = missing.slice(i, i + blobsPerCall);
    const found = await m.port.blobs(
      partition,
      head.version,
      part.map((m) => m.text),
    );
    if (found === 'moved') {
      scan.bytes -= bytesMissing;
      return 'moved';
    }
    part.forEach(({ text, name, digest }, j) => {
      const bytes = found[j];
      try {
        if (!bytes) throw new MusterError('store/corrupt', 'read checkpoint: blob is gone', { values: { text } });
        const blob = decodeBlob(name, bytes, dictionary);
        if (m.isCurrent(dictionary)) m.cache.put(partition, text, digest, blob);
        blobs.push({ name, blob });
      } catch (cause) {
        if (!(cause instanceof MusterError) || cause.disposition !== 'drop') throw cause;
        broken.push(text);
      }
    });
  }
  return { partition, version: head.version, commitId: head.commitId, committedMs, blobs, damaged: broken };
}

function weightOf(sums: Sums): number {
  let weight = 0;
  for (const { hosts } of sums.values())
    for (const { values } of hosts.values()) weight += 500 + values.increments.values.byteLength;
  return weight;
}
