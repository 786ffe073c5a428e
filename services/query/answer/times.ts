/** Times as callers see them. */
import type { Duration, Timestamp } from '../../shared/contract/query.ts';

export const timestamp = (ms: number): Timestamp => ({
  seconds: String(Math.floor(ms / 1000)),
  nanos: (((ms % 1000) + 1000) % 1000) * 1_000_000,
});
export const duration = (ms: number): Duration => ({
  seconds: String(Math.trunc(ms / 1000)),
  nanos: Math.trunc((ms % 1000) * 1e6),
});
