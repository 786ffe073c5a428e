/**
 * Reads partitions' checkpoints through the CheckpointReader port: heads in one round trip, then the names and blobs of
 * what changed since the last request and is needed now. Every partition is at one version; one that moves on while it
 * is read is taken anew, the others stay.
 */
import { BlobCache } from './checkpoint/blob-cache.ts';
import { decodeBlob } from './checkpoint/blobs.ts';
import { Dictionary } from './checkpoint/dictionary.ts';
import { joinPartitions, type Fleet, type LoadedPartition } from './checkpoint/fleet.ts';
import { Rejected } from './answer/rejection.ts';
import { parseBlobName, type BlobName } from '../shared/contract/checkpoint.ts';
import { decodeHead } from '../shared/contract/checkpoint-codec.ts';
import { partitionCount } from '../shared/contract/subjects.ts';
import type { HostMarks } from '../shared/runtime/ports/host-marks.ts';
import { MusterError } from '../shared/runtime/errors.ts';
import type { CheckpointReader, CheckpointView, StoredHead } from '../shared/runtime/ports/checkpoint-store.ts';

export interface FleetReaderLimits {
  /** Heads read this lately are not read again. */
  readonly headsAgeMs: number;
  /** Decoded blobs kept, in bytes. */
  readonly cacheWeight: number;
  /** Encoded blobs that one request may have to read: what is cached counts nothing. */
  readonly scanBytes: number;
  /** Distinct label texts kept before all decoded blobs are dropped. */
  readonly dictionaryTexts: number;
  /** A host that was not merged for longer is gone. */
  readonly goneAfterMs: number;
}

export const fleetReaderLimits: FleetReaderLimits = {
  headsAgeMs: 250,
  cacheWeight: 512 * 2 ** 20,
  scanBytes: 512 * 2 ** 20,
  dictionaryTexts: 4_000_000,
  goneAfterMs: 30 * 86_400_000,
};

/** A partition that moves on this often while it is read is given up: the store is overloaded. */
const attemptsMax = 50;
const marksAgeMs = 1000;
/** Blobs asked for in one round trip. */
const blobsPerCall = 256;

interface NamedView {
  readonly view: CheckpointView;
  readonly committedMs: number;
  readonly names: readonly {
    readonly text: string;
    readonly name: BlobName;
    readonly digest: string;
    readonly bytes: number;
  }[];
  readonly damaged: readonly string[];
  /** Number of the latest heads asked for when this was read. */
  readonly since: number;
}

/** Encoded bytes that one request reads, of all partitions together. */
interface Scan {
  bytes: number;
}

export class FleetReader {
  readonly #views = new Map<number, NamedView>();
  readonly #cache: BlobCache;
  #dictionary = new Dictionary();
  #heads: Promise<Map<number, StoredHead>> | undefined;
  #headsAtMs = -Infinity;
  #marks: ReadonlyMap<string, number> = new Map();
  #marksAtMs = -Infinity;
  /** How often heads were asked for. */
  #readings = 0;

  constructor(
    readonly port: CheckpointReader,
    readonly now: () => number,
    readonly limits: FleetReaderLimits = fleetReaderLimits,
    readonly marks?: HostMarks,
  ) {
    this.#cache = new BlobCache(limits.cacheWeight);
  }

  /** The fleet with all host records and the blobs that `need` picks. Throws MusterError store/…, or Rejected too-large. */
  async load(need: (name: BlobName) => boolean): Promise<Fleet> {
    if (this.#dictionary.size > this.limits.dictionaryTexts) {
      this.#dictionary = new Dictionary();
      this.#cache.clear();
    }
    // Held for the whole load: another request may start a new dictionary meanwhile, and numbers must not mix.
    const dictionary = this.#dictionary;
    const reading = this.heads();
    const since = this.#readings;
    const heads = await reading;
    for (const partition of this.#views.keys()) if (!heads.has(partition)) this.#views.delete(partition);
    const wanted = (name: BlobName): boolean => name.kind === 'host' || need(name);
    const scan: Scan = { bytes: 0 };
    const loaded = await Promise.all(
      [...heads].map(([partition, head]) => this.#partition(partition, head, since, wanted, dictionary, scan)),
    );
    const forgotten = await this.#forgotten();
    const nowMs = this.now();
    return joinPartitions(
      loaded.filter((p) => p !== undefined),
      dictionary,
      (host, mergedMs) => mergedMs <= (forgotten.get(host) ?? -1) || nowMs - mergedMs > this.limits.goneAfterMs,
    );
  }

  /** Takes a host off the lists until it is merged again. */
  async forget(host: string, mergedMs: number): Promise<void> {
    if (!this.marks) throw new MusterError('store/refused', 'forget a host: this service keeps no marks');
    await this.marks.forget(host, mergedMs);
    this.#marksAtMs = -Infinity;
  }

  /** At most a second old. Where marks cannot be read, those known last stand: they are no counts. */
  async #forgotten(): Promise<ReadonlyMap<string, number>> {
    const now = this.now();
    if (this.marks && Math.abs(now - this.#marksAtMs) > marksAgeMs) {
      this.#marksAtMs = now;
      this.#marks = await this.marks.forgotten().catch(() => this.#marks);
    }
    return this.#marks;
  }

  /** Heads of all partitions, at most `headsAgeMs` old; requests at the same time share one round trip. */
  async heads(): Promise<Map<number, StoredHead>> {
    const now = this.now();
    if (!this.#heads || now - this.#headsAtMs > this.limits.headsAgeMs || now < this.#headsAtMs) {
      this.#headsAtMs = now;
      this.#readings++;
      const reading = this.port.heads(Array.from({ length: partitionCount }, (_, i) => i));
      this.#heads = reading;
      reading.catch(() => {
        if (this.#heads === reading) this.#heads = undefined;
      });
    }
    return this.#heads;
  }

  /** Names the state of all partitions, from their heads alone. */
  async state(): Promise<string> {
    const heads = await this.heads();
    return [...heads].map(([p, { version, commitId }]) => `${p}:${version}:${commitId}`).join(' ');
  }

  async #partition(
    partition: number,
    head: StoredHead,
    since: number,
    need: (name: BlobName) => boolean,
    dictionary: Dictionary,
    scan: Scan,
  ): Promise<LoadedPartition | undefined> {
    let known = this.#views.get(partition);
    if (known && known.view.head.commitId !== head.commitId) {
      // A newer view read since these heads were asked for stays: another request was quicker. One read before them is
      // of a store that was set back.
      const isNewer = known.view.head.version > head.version && known.since >= since;
      if (!isNewer) known = undefined;
    }
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      known ??= await this.#view(partition);
      if (!known) return undefined;
      const loaded = await this.#blobs(known, need, dictionary, scan);
      if (loaded !== 'moved') return loaded;
      known = undefined;
    }
    throw new MusterError('store/unreachable', 'read checkpoint: the partition moves on faster than it can be read', {
      values: { partition },
      remedy: 'try again',
    });
  }

  async #view(partition: number): Promise<NamedView | undefined> {
    const since = this.#readings;
    const view = await this.port.view(partition);
    if (!view) {
      this.#views.delete(partition);
      return undefined;
    }
    const names: NamedView['names'][number][] = [];
    const damaged: string[] = [];
    for (const [text, { digest, bytes }] of view.names) {
      try {
        names.push({ text, name: parseBlobName(text), digest, bytes });
      } catch {
        damaged.push(text);
      }
    }
    const named = { view, committedMs: Number(decodeHead(view.head.head).committedWallMs), names, damaged, since };
    this.#views.set(partition, named);
    return named;
  }

  async #blobs(
    { view, committedMs, names, damaged }: NamedView,
    need: (name: BlobName) => boolean,
    dictionary: Dictionary,
    scan: Scan,
  ): Promise<LoadedPartition | 'moved'> {
    const { partition, head } = view;
    const keep = dictionary === this.#dictionary;
    const blobs: LoadedPartition['blobs'][number][] = [];
    const missing: NamedView['names'][number][] = [];
    let bytesMissing = 0;
    for (const wanted of names) {
      if (!need(wanted.name)) continue;
      const blob = keep ? this.#cache.get(partition, wanted.text, wanted.digest) : undefined;
      if (blob) blobs.push({ name: wanted.name, blob });
      else {
        missing.push(wanted);
        bytesMissing += wanted.bytes;
      }
    }
    scan.bytes += bytesMissing;
    if (scan.bytes > this.limits.scanBytes) {
      throw new Rejected({
        kind: 'too-large',
        what: 'bytes to read',
        found: scan.bytes,
        limit: this.limits.scanBytes,
        fix: 'ask for a shorter range',
      });
    }
    const broken = [...damaged];
    for (let i = 0; i < missing.length; i += blobsPerCall) {
      const part = missing.slice(i, i + blobsPerCall);
      const found = await this.port.blobs(
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
          if (dictionary === this.#dictionary) this.#cache.put(partition, text, digest, blob);
          blobs.push({ name, blob });
        } catch (cause) {
          if (!(cause instanceof MusterError) || cause.disposition !== 'drop') throw cause;
          broken.push(text);
        }
      });
    }
    return { partition, version: head.version, commitId: head.commitId, committedMs, blobs, damaged: broken };
  }
}
