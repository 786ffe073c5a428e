/** Port: durable state of partitions. Real: adapters/redis-checkpoint-store.ts. Fake: test/simulation. */

/** What names a checkpoint. `head` is CheckpointHead bytes (proto/muster/v1/checkpoint.proto). */
export interface StoredHead {
  readonly version: bigint;
  readonly commitId: string;
  readonly head: Uint8Array;
}

export interface CommitRequest {
  readonly partition: number;
  /** Head this commit replaces; undefined for the first. Both version and commit id must match the store's. */
  readonly expected: { readonly version: bigint; readonly commitId: string } | undefined;
  readonly next: StoredHead;
  /** Blobs written or replaced by this commit. */
  readonly put: ReadonlyMap<string, Uint8Array>;
  /** Blobs dropped by this commit. */
  readonly drop: readonly string[];
}

export type CommitOutcome =
  | { readonly kind: 'committed' }
  /** Someone else committed: this writer must stop. */
  | { readonly kind: 'conflict'; readonly found: { readonly version: bigint; readonly commitId: string } | undefined };

export interface LoadedCheckpoint {
  readonly head: StoredHead;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  /** Names of all blobs, those that were not wanted included, damaged ones not. */
  readonly names: readonly string[];
  /** True when the newest checkpoint was damaged and the one before it was used. */
  readonly fellBack: boolean;
  /** Names of blobs that are damaged in both; they are absent from `blobs`. */
  readonly damaged: readonly string[];
}

/** The aggregator's side. Every method may reject with MusterError store/unreachable, store/refused, store/full. */
export interface CheckpointStore {
  /** Refuses a store that evicts (store/unfit). */
  verify(): Promise<void>;
  /** `wanted` picks the blobs whose bytes are read and checked; all by default. */
  load(partition: number, wanted?: (name: string) => boolean): Promise<LoadedCheckpoint | undefined>;
  /** Atomic. A lost reply is resolved by reading head and commit id, never by sending again. */
  commit(request: CommitRequest): Promise<CommitOutcome>;
  close(): Promise<void>;
}

export interface CheckpointView {
  readonly partition: number;
  readonly head: StoredHead;
  /** Digest and size of every blob, by name. */
  readonly names: ReadonlyMap<string, { readonly digest: string; readonly bytes: number }>;
}

/** The query service's side: read-only. */
export interface CheckpointReader {
  /** Heads of the given partitions, absent ones left out; one round trip. */
  heads(partitions: readonly number[]): Promise<Map<number, StoredHead>>;
  /** The names of one partition's blobs with the head they belong to, read atomically. */
  view(partition: number): Promise<CheckpointView | undefined>;
  /** Blobs by name, or 'moved' when the partition is no longer at `version`: take a new view. */
  blobs(partition: number, version: bigint, names: readonly string[]): Promise<(Uint8Array | undefined)[] | 'moved'>;
  close(): Promise<void>;
}
