/**
 * Port: which aggregator works on which partition. For liveness alone: a lease moves work, and may be held by two for a
 * moment; the compare-and-set of the checkpoint is what keeps the counts. Real: adapters/redis-partition-leases.ts.
 */
export interface LeaseView {
  /** Partitions this member holds after the call, ascending. */
  readonly held: readonly number[];
  /** How many of them it should give up, so that others get their share. */
  readonly surplus: number;
  /** Members that are alive, this one included. */
  readonly members: number;
}

export interface PartitionLeases {
  /**
   * Says that this member lives and still works on `working`; takes free partitions up to its share. Undefined when a
   * process that started later goes by the same name: this one is over. Rejects with MusterError store/….
   */
  renew(working: readonly number[]): Promise<LeaseView | undefined>;
  /** Frees partitions that this member holds. */
  release(partitions: readonly number[]): Promise<void>;
  /** Frees all and takes the member off the list. */
  leave(): Promise<void>;
  close(): Promise<void>;
}
