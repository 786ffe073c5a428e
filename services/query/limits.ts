/** What one query service serves at once and at most. Each can be set by a flag of the same name (settings.ts). */
export interface Limits {
  /** Calls answered at once, of all callers and of one. */
  readonly calls: number;
  readonly callsPerCaller: number;
  /** Watch streams, of all callers and of one; and the rows that their answers keep together. */
  readonly watches: number;
  readonly watchesPerCaller: number;
  readonly watchRows: number;
  /** Longest time for one answer, whatever deadline the caller set. */
  readonly deadlineMs: number;
  /** A connection is asked to go after this, and a watch ends, so that a load balancer can spread them anew. */
  readonly connectionAgeMs: number;
  /** Stored bytes that one answer may need. */
  readonly scanBytes: number;
  /** A host that was silent for longer is off the lists. */
  readonly goneAfterMs: number;
}

export const limits: Limits = {
  calls: 256,
  callsPerCaller: 64,
  watches: 2000,
  watchesPerCaller: 200,
  watchRows: 400_000,
  deadlineMs: 30_000,
  connectionAgeMs: 3_600_000,
  scanBytes: 512 * 2 ** 20,
  goneAfterMs: 30 * 86_400_000,
};
