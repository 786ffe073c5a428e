/**
 * Messages of one lineage given to the bus and not yet answered: the back-pressure. While there are too many, or
 * publishing fails, the lineage is not read; the kernel goes on counting, and nothing is buffered here.
 */
export interface InFlight {
  readonly tokens: Set<number>;
  /** Publishes that failed since the last one that did not. */
  failures: number;
  /** While publishing fails: not before this CLOCK_BOOTTIME. */
  retryAtNs: bigint;
}

export const createInFlight = (): InFlight => ({ tokens: new Set(), failures: 0, retryAtNs: 0n });

/** May another update be read and sent now? */
export function mayPublish(f: InFlight, unconfirmedMax: number, nowNs: bigint): boolean {
  if (f.failures > 0) return f.tokens.size === 0 && nowNs >= f.retryAtNs;
  return f.tokens.size < unconfirmedMax;
}

export function noteConfirmed(f: InFlight, token: number): void {
  f.tokens.delete(token);
  f.failures = 0;
}

/** Doubles the wait from an eighth of a second up to `retryMaxNs`. */
export function noteFailed(f: InFlight, token: number, nowNs: bigint, retryMaxNs: bigint): void {
  f.tokens.delete(token);
  f.failures++;
  const wait = 125_000_000n << BigInt(Math.min(f.failures - 1, 10));
  f.retryAtNs = nowNs + (wait < retryMaxNs ? wait : retryMaxNs);
}
