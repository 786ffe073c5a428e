/** Port: which hosts an operator has forgotten. Real: adapters/redis-host-marks.ts. */
export interface HostMarks {
  /** By host, when it had last been merged (Unix ms) as it was forgotten: what is merged later brings it back. */
  forgotten(): Promise<ReadonlyMap<string, number>>;
  forget(host: string, mergedMs: number): Promise<void>;
  /** Takes marks away. */
  unmark(hosts: readonly string[]): Promise<void>;
}
