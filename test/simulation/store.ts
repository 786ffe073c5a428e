/**
 * The checkpoint store, synchronous: compare-and-set on version and commit id, the newest checkpoint and the one
 * before it, a digest beside each blob. Blobs can be damaged, the whole store rolled back or flushed.
 */
import { blobDigest } from '../../services/shared/contract/checkpoint-codec.ts';
import type {
  CheckpointView,
  CommitOutcome,
  CommitRequest,
  LoadedCheckpoint,
  StoredHead,
} from '../../services/shared/runtime/ports/checkpoint-store.ts';

/** Whether bytes and digest agree is kept, not computed: only `damage` makes them differ. */
interface StoredBlob {
  readonly bytes: Uint8Array;
  readonly sound: boolean;
}

interface Stored {
  readonly head: StoredHead;
  readonly blobs: ReadonlyMap<string, StoredBlob>;
}

interface PartitionStore {
  readonly current: Stored;
  readonly previous: Stored | undefined;
}

export class SimStore {
  private partitions = new Map<number, PartitionStore>();
  private dumps: Map<number, PartitionStore>[] = [];
  commits = 0;
  /** Somebody had to do without a blob that no checkpoint held any more. */
  damageServed = false;

  commit(request: CommitRequest): CommitOutcome {
    const stored = this.partitions.get(request.partition);
    const found = stored && { version: stored.current.head.version, commitId: stored.current.head.commitId };
    if (found?.version !== request.expected?.version || found?.commitId !== request.expected?.commitId)
      return { kind: 'conflict', found };
    const blobs = new Map(stored?.current.blobs);
    for (const name of request.drop) blobs.delete(name);
    for (const [name, bytes] of request.put) blobs.set(name, { bytes, sound: true });
    this.partitions.set(request.partition, { current: { head: request.next, blobs }, previous: stored?.current });
    this.commits++;
    return { kind: 'committed' };
  }

  /** What a writer reads after a lost reply. */
  head(partition: number): StoredHead | undefined {
    return this.partitions.get(partition)?.current.head;
  }

  load(partition: number, wanted: (name: string) => boolean): LoadedCheckpoint | undefined {
    const stored = this.partitions.get(partition);
    if (!stored) return undefined;
    const { current, previous } = stored;
    // A blob that the newest commit did not write is there once: both checkpoints have the same damage.
    const served = (s: Stored): boolean => [...s.blobs.values()].some((b) => !b.sound);
    const undo = [...current.blobs].some(([name, b]) => wanted(name) && !b.sound && previous?.blobs.get(name) !== b);
    if (!undo || !previous) {
      this.damageServed ||= served(current);
      return loaded(current, false, wanted);
    }
    this.damageServed ||= served(previous);
    // The damaged commit is undone: what is loaded is again the newest.
    this.partitions.set(partition, { current: previous, previous: undefined });
    return loaded(previous, true, wanted);
  }

  view(partition: number): CheckpointView | undefined {
    const stored = this.partitions.get(partition);
    if (!stored) return undefined;
    const names = new Map(
      [...stored.current.blobs].map(([name, b]) => [name, { digest: blobDigest(b.bytes), bytes: b.bytes.length }]),
    );
    return { partition, head: stored.current.head, names };
  }

  blob(partition: number, name: string): Uint8Array | undefined {
    const blob = this.partitions.get(partition)?.current.blobs.get(name);
    return blob?.sound ? blob.bytes : undefined;
  }

  /** Names and bytes of the newest checkpoint, damaged ones left out. */
  *sound(partition: number): Generator<[name: string, bytes: Uint8Array]> {
    for (const [name, blob] of this.partitions.get(partition)?.current.blobs ?? [])
      if (blob.sound) yield [name, blob.bytes];
  }

  damaged(partition: number): string[] {
    return [...(this.partitions.get(partition)?.current.blobs ?? [])].flatMap(([name, b]) => (b.sound ? [] : [name]));
  }

  /** Keeps what is there now, for a later roll-back. */
  dump(): void {
    this.dumps.push(new Map(this.partitions));
  }

  /** Restores an older dump; false when there is none. */
  rollBack(): boolean {
    const dump = this.dumps.pop();
    if (dump) this.partitions = new Map(dump);
    return dump !== undefined;
  }

  flush(): void {
    this.partitions = new Map();
  }

  /** Flips one bit of one blob of the newest checkpoint; false when there is none. */
  damage(partition: number, pick: (count: number) => number): string | undefined {
    const stored = this.partitions.get(partition);
    if (!stored) return undefined;
    const all = [...stored.current.blobs].filter(([, b]) => b.bytes.length > 0).map(([n]) => n);
    // Rather what was written last: that commit alone can be undone.
    const newest = all.filter((n) => stored.previous?.blobs.get(n) !== stored.current.blobs.get(n));
    const names = newest.length > 0 && pick(4) > 0 ? newest : all;
    if (names.length === 0) return undefined;
    const name = names[pick(names.length)]!;
    const blob = stored.current.blobs.get(name)!;
    const bytes = blob.bytes.slice();
    bytes[pick(bytes.length)]! ^= 1 << pick(8);
    const flip = { bytes, sound: false };
    const flipIn = (s: Stored): Stored =>
      s.blobs.get(name) === blob ? { ...s, blobs: new Map(s.blobs).set(name, flip) } : s;
    this.partitions.set(partition, {
      current: flipIn(stored.current),
      previous: stored.previous && flipIn(stored.previous),
    });
    return name;
  }

  get partitionNumbers(): number[] {
    return [...this.partitions.keys()];
  }
}

function loaded(from: Stored, fellBack: boolean, wanted: (name: string) => boolean): LoadedCheckpoint {
  const blobs = new Map<string, Uint8Array>();
  const damaged: string[] = [];
  for (const [name, b] of from.blobs) {
    if (!wanted(name)) continue;
    if (b.sound) blobs.set(name, b.bytes);
    else damaged.push(name);
  }
  return {
    head: from.head,
    blobs,
    names: [...from.blobs.keys()].filter((n) => !damaged.includes(n)),
    fellBack,
    damaged,
  };
}
