/** Says of a quarantined message that it was: to whoever reads this log, and to its host. A flood is not one of words. */
import type { Poison } from './receive.ts';
import { tellRefused, type Tell } from './tell.ts';

/** A host is told at most so often; of so many it is remembered. */
const everyMs = 30_000;
const hostsMax = 1024;

/** When each host was last told, also where nothing else is known of it. */
export type Refusals = Map<string, number>;

/** Undefined where the subject names no host, or it was told just now. */
export function refuse(told: Refusals, { host, reason, detail }: Poison, nowMs: number): Tell | undefined {
  if (host === undefined || Math.abs(nowMs - (told.get(host) ?? -1e15)) < everyMs) return undefined;
  if (told.size >= hostsMax) told.clear();
  told.set(host, nowMs);
  return tellRefused(host, reason, detail);
}

/** The first, the second, the fourth of a kind, and so on. */
export const isWorthALine = (count: bigint): boolean => (count & (count - 1n)) === 0n;
