/**
 * Reads partitions' checkpoints through the CheckpointReader port and holds each at one version: heads in one round trip,
 * then the names and blobs of what changed and is needed. A partition that moves on while it is read is taken anew, the
 * others stay. Whatever is held can be read again at any time: nothing here is a state of its own.
 */
import { BlobCache } from './checkpoint/blob-cache.ts';
import { Dictionary } from './checkpoint/dictionary.ts';
import { type Fleet, joinHosts, type PartitionHosts } from './checkpoint/fleet.ts';
import { hostsOnly, type Need } from './checkpoint/need.ts';
import { type Held, type Made, make, type Maker, needsKept, type Scan, viewPartition } from './held-partition.ts';
import { partitionCount } from '../shared/contract/subjects.ts';
import { MusterError } from '../shared/runtime/errors.ts';
import type { CheckpointReader, StoredHead } from '../shared/runtime/ports/checkpoint-store.ts';
import type { HostMarks } from '../shared/runtime/ports/host-marks.ts';

export interface FleetReaderLimits {
  /** Heads read this lately are not read again. */
  readonly headsAgeMs: number;
  /** While somebody calls `refresh`, a request takes what is held and was found to be the newest this lately. */
  readonly refreshAgeMs: number;
  /** Decoded blobs kept, in bytes. */
  readonly cacheWeight: number;
  /** Encoded blobs that one request may have to read: what is cached counts nothing. */
  readonly scanBytes: number;
  /** Distinct label texts kept before all decoded blobs are dropped; never more often than `dictionaryAgeMs`. */
  readonly dictionaryTexts: number;
  readonly dictionaryAgeMs: number;
  /** A host that was not merged for longer is gone. */
  readonly goneAfterMs: number;
}

export const fleetReaderLimits: FleetReaderLimits = {
  headsAgeMs: 250,
  refreshAgeMs: 1000,
  cacheWeight: 512 * 2 ** 20,
  scanBytes: 512 * 2 ** 20,
  dictionaryTexts: 4_000_000,
  dictionaryAgeMs: 600_000,
  goneAfterMs: 30 * 86_400_000,
};

/** A partition that moves on this often while it is read is given up: the store is overloaded. */
const attemptsMax = 50;
const marksAgeMs = 1000;
/** Partitions that are read at a time. */
const lanes = 8;

interface Joined {
  readonly from: readonly PartitionHosts[];
  readonly marks: ReadonlyMap<string, number>;
  readonly joinedMs: number;
  /** About the bytes that it keeps from being dropped. */
  readonly weight: number;
  readonly fleet: Fleet;
}

export class FleetReader {
  readonly #held = new Map<number, Held>();
  readonly #cache: BlobCache;
  readonly #maker: Maker;
  readonly #joined = new Map<string, Joined>();
  #dictionary = new Dictionary();
  #dictionaryAtMs: number;
  #heads: Promise<Map<number, StoredHead>> | undefined;
  #headsAtMs = -Infinity;
  #marks: ReadonlyMap<string, number> = new Map();
  #marksAtMs = -Infinity;
  /** When what is held was last known to be the newest, and whether that was by `refresh`. */
  #freshAtMs = -Infinity;
  #tended = false;
  #catching: Promise<void> | undefined;
  #order = 0;

  constructor(
    readonly port: CheckpointReader,
    readonly now: () => number,
    readonly limits: FleetReaderLimits = fleetReaderLimits,
    readonly marks?: HostMarks,
    /** Lets others run: a long reading calls it now and then. */
    readonly giveWay: () => Promise<void> = async () => undefined,
  ) {
    this.#cache = new BlobCache(limits.cacheWeight);
    this.#dictionaryAtMs = now();
    this.#maker = {
      port,
      cache: this.#cache,
      scanBytes: limits.scanBytes,
      madeWeight: limits.cacheWeight / partitionCount,
      giveWay,
      isCurrent: (dictionary) => dictionary === this.#dictionary,
    };
  }

  /** The fleet with all host records and the blobs that `need` picks. Throws MusterError store/…, or Rejected too-large. */
  async load(need: Need = hostsOnly): Promise<Fleet> {
    this.#renewDictionary();
    // Held for the whole load: another request may start a new dictionary meanwhile, and numbers must not mix.
    const dictionary = this.#dictionary;
    await this.#freshen();
    const scan: Scan = { bytes: 0 };
    const made = await Promise.all([...this.#held.keys()].map((p) => this.#made(p, need, dictionary, scan)));
    return this.#join(
      need,
      made.filter((m) => m !== undefined),
      dictionary,
    );
  }

  /** Texts of labels that are no more are let go. A fleet that has so many at a time keeps them for a while. */
  #renewDictionary(): void {
    const now = this.now();
    if (this.#dictionary.size <= this.limits.dictionaryTexts) return;
    if (Math.abs(now - this.#dictionaryAtMs) < this.limits.dictionaryAgeMs) return;
    this.#dictionary = new Dictionary();
    this.#dictionaryAtMs = now;
    this.#cache.clear();
    this.#joined.clear();
    for (const held of this.#held.values()) held.made.clear();
  }

  /** Encoded bytes that `load` would have to read for a need, by what is held now. */
  bytesToRead(need: Need): number {
    let bytes = 0;
    for (const [partition, { names, made }] of this.#held) {
      if (made.get(need.key)?.dictionary === this.#dictionary) continue;
      for (const { text, name, digest, bytes: size } of names.values())
        if (need.wants(name) && !this.#cache.has(partition, text, digest)) bytes += size;
    }
    return bytes;
  }

  /**
   * Reads what changed and makes it ready for these needs, so that no request has to wait for it. Requests take what was
   * held before until a partition is ready.
   */
  async refresh(needs: readonly Need[]): Promise<void> {
    const dictionary = this.#dictionary;
    const nowMs = this.now();
    await this.#catchUp(async (held) => {
      for (const need of [hostsOnly, ...needs]) {
        if ((await make(this.#maker, held, need, dictionary, { bytes: 0 })) === 'moved') return false;
        await this.giveWay();
      }
      return true;
    });
    this.#freshAtMs = nowMs;
    this.#tended = true;
    for (const held of this.#held.values()) {
      for (const need of needs) {
        if (held.made.has(need.key)) continue;
        // Where it has moved on the next round, or whoever asks, takes it anew.
        await make(this.#maker, held, need, dictionary, { bytes: 0 });
        await this.giveWay();
      }
    }
  }

  /** Takes a host off the lists until it is merged again. */
  async forget(host: string, mergedMs: number, fleet: Fleet): Promise<void> {
    if (!this.marks) throw new MusterError('store/refused', 'forget a host: this service keeps no marks');
    await this.marks.forget(host, mergedMs);
    // Marks of hosts that have come back, or that no checkpoint has any more, would otherwise stay for ever.
    const merged = new Map(fleet.hosts.map(({ name, record }) => [name, Number(record.mergedWallMs)]));
    const spent = [...(await this.marks.forgotten())].filter(([name, ms]) => (merged.get(name) ?? Infinity) > ms);
    await this.marks.unmark(spent.map(([name]) => name));
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
      const reading = this.port.heads(Array.from({ length: partitionCount }, (_, i) => i));
      this.#heads = reading;
      reading.catch(() => {
        if (this.#heads === reading) this.#heads = undefined;
      });
    }
    return this.#heads;
  }

  /** Names the state that a request would be answered from. */
  async state(): Promise<string> {
    await this.#freshen();
    const heads = [...this.#held].sort(([a], [b]) => a - b).map(([p, { view }]) => [p, view.head] as const);
    return heads.map(([p, { version, commitId }]) => `${p}:${version}:${commitId}`).join(' ');
  }

  /** Sees to it that what is held is new enough; requests at the same time share the reading. */
  async #freshen(): Promise<void> {
    const age = this.now() - this.#freshAtMs;
    if (age >= 0 && age <= (this.#tended ? this.limits.refreshAgeMs : this.limits.headsAgeMs)) return;
    this.#tended = false;
    this.#catching ??= (async () => {
      try {
        const nowMs = this.now();
        await this.#catchUp(async () => true);
        if (!this.#tended) this.#freshAtMs = nowMs;
      } finally {
        this.#catching = undefined;
      }
    })();
    await this.#catching;
  }

  /** Takes a view of each partition that has another head than the one held. `prepare` says whether it is still there. */
  async #catchUp(prepare: (held: Held) => Promise<boolean>): Promise<void> {
    const order = ++this.#order;
    const heads = await this.heads();
    for (const [partition, { order: known }] of this.#held)
      if (!heads.has(partition) && known < order) this.#held.delete(partition);
    const changed = [...heads].filter(([p, head]) => this.#held.get(p)?.view.head.commitId !== head.commitId);
    const lane = async (): Promise<void> => {
      for (let next = changed.pop(); next; next = changed.pop()) await this.#take(next[0], prepare);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  async #take(partition: number, prepare: (held: Held) => Promise<boolean> = async () => true): Promise<void> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const held = await viewPartition(
        this.port,
        partition,
        ++this.#order,
        () => this.#held.get(partition),
        this.#maker.madeWeight,
      );
      if (!held) {
        this.#held.delete(partition);
        return;
      }
      if (!(await prepare(held))) continue;
      if ((this.#held.get(partition)?.order ?? -1) < held.order) this.#held.set(partition, held);
      return;
    }
    throw movesOn(partition);
  }

  /** What is held of a partition, made for a need; taken anew where it has moved on. Undefined where it is gone. */
  async #made(partition: number, need: Need, dictionary: Dictionary, scan: Scan): Promise<Made | undefined> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const held = this.#held.get(partition);
      if (!held) return undefined;
      const made = await make(this.#maker, held, need, dictionary, scan);
      if (made !== 'moved') return made;
      await this.#take(partition);
    }
    throw movesOn(partition);
  }

  async #join(need: Need, made: readonly Made[], dictionary: Dictionary): Promise<Fleet> {
    const partitions = made.map((m) => m.hosts);
    const forgotten = await this.#forgotten();
    const nowMs = this.now();
    const known = this.#joined.get(need.key);
    const same =
      known?.fleet.dictionary === dictionary &&
      known.from.length === partitions.length &&
      known.from.every((p, i) => p === partitions[i]);
    if (same && known.marks === forgotten && Math.abs(nowMs - known.joinedMs) < marksAgeMs) return known.fleet;
    const fleet = joinHosts(
      partitions,
      dictionary,
      (host, mergedMs) => mergedMs <= (forgotten.get(host) ?? -1) || nowMs - mergedMs > this.limits.goneAfterMs,
    );
    this.#joined.delete(need.key);
    this.#joined.set(need.key, {
      from: partitions,
      marks: forgotten,
      joinedMs: nowMs,
      weight: made.reduce((n, m) => n + m.weight, 0),
      fleet,
    });
    let weight = 0;
    for (const joined of this.#joined.values()) weight += joined.weight;
    for (const [oldest, { weight: w }] of this.#joined) {
      if (this.#joined.size <= needsKept && weight <= this.limits.cacheWeight) break;
      this.#joined.delete(oldest);
      weight -= w;
    }
    return fleet;
  }
}

const movesOn = (partition: number): MusterError =>
  new MusterError('store/unreachable', 'read checkpoint: the partition moves on faster than it can be read', {
    values: { partition },
    remedy: 'try again',
  });
