/** An in-memory store behind the reader's port, with the faults that tests need. */
import { CheckpointHead } from '../../services/shared/contract/checkpoint.ts';
import { blobDigest } from '../../services/shared/contract/checkpoint-codec.ts';
import { partitionOf } from '../../services/shared/contract/subjects.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import type {
  CheckpointReader,
  CheckpointView,
  StoredHead,
} from '../../services/shared/runtime/ports/checkpoint-store.ts';
import type { HostMarks } from '../../services/shared/runtime/ports/host-marks.ts';
import { blobsOf, nowMs, type HostFill } from './checkpoints.ts';

export class FakeReader implements CheckpointReader, HostMarks {
  readonly marks = new Map<string, number>();
  readonly partitions = new Map<number, { version: bigint; blobs: Map<string, Uint8Array> }>();
  committedMs = nowMs - 200;
  away = false;
  /** Of the aggregator that commits. */
  nonce = '';
  /** Blobs handed out, by name. */
  fetched: string[] = [];
  /** Runs before blobs are read: a place to commit in between. */
  beforeBlobs: (() => void) | undefined;
  readonly damaged = new Set<string>();

  /** Replaces what the store holds of these hosts, as one commit a partition. */
  commit(fills: readonly HostFill[]): void {
    for (const fill of fills) {
      const partition = partitionOf(fill.host);
      const known = this.partitions.get(partition) ?? { version: 0n, blobs: new Map<string, Uint8Array>() };
      this.partitions.set(partition, {
        version: known.version + 1n,
        blobs: new Map([...known.blobs, ...blobsOf(fill)]),
      });
    }
  }

  #head(partition: number): StoredHead | undefined {
    const found = this.partitions.get(partition);
    if (!found) return undefined;
    const commitId = `${this.nonce}${partition}-${found.version}`;
    const head = CheckpointHead.encode({
      formatVersion: 1,
      version: found.version,
      commitId,
      streamIdentity: 's',
      streamSequence: 1n,
      committedWallMs: BigInt(this.committedMs),
    }).finish();
    return { version: found.version, commitId, head };
  }

  #check(): void {
    if (this.away)
      throw new MusterError('store/unreachable', 'read heads: no answer', { values: { redis: '127.0.0.1:1' } });
  }

  async heads(partitions: readonly number[]): Promise<Map<number, StoredHead>> {
    this.#check();
    return new Map(partitions.flatMap((p) => (this.partitions.has(p) ? [[p, this.#head(p)!] as const] : [])));
  }

  async view(partition: number): Promise<CheckpointView | undefined> {
    this.#check();
    const head = this.#head(partition);
    if (!head) return undefined;
    const names = new Map(
      [...this.partitions.get(partition)!.blobs].map(([name, b]) => [name, { digest: blobDigest(b), bytes: b.length }]),
    );
    return { partition, head, names };
  }

  async blobs(
    partition: number,
    version: bigint,
    names: readonly string[],
  ): Promise<(Uint8Array | undefined)[] | 'moved'> {
    this.#check();
    const before = this.beforeBlobs;
    this.beforeBlobs = undefined;
    before?.();
    const found = this.partitions.get(partition)!;
    if (found.version !== version) return 'moved';
    this.fetched.push(...names);
    return names.map((n) => (this.damaged.has(n) ? undefined : found.blobs.get(n)));
  }

  async forgotten(): Promise<ReadonlyMap<string, number>> {
    return new Map(this.marks);
  }

  async forget(host: string, mergedMs: number): Promise<void> {
    this.marks.set(host, mergedMs);
  }

  async unmark(hosts: readonly string[]): Promise<void> {
    for (const host of hosts) this.marks.delete(host);
  }

  async close(): Promise<void> {}
}
