/**
 * Which time a request means. Windows are 10 s long, so that a range is widened to whole windows; the answer's coverage
 * says what was really used. A relative range ends now and takes the window that is still filling.
 */
import { finestTier } from '../../shared/contract/checkpoint.ts';
import type { MethodName, Timestamp } from '../../shared/contract/query.ts';
import { timestampText } from '../../shared/contract/proto-json.ts';
import { reject } from './rejection.ts';

export type TimeRange =
  /** Lifetime totals. */
  | { readonly kind: 'all' }
  /** Windows that start at fromMs or later and before toMs. `openEnd`: the range ends now. */
  | { readonly kind: 'windows'; readonly fromMs: number; readonly toMs: number; readonly openEnd: boolean };

export interface RangeRequest {
  readonly range: string;
  readonly startTime: Timestamp | undefined | null;
  readonly endTime: Timestamp | undefined | null;
}

export const windowMs = finestTier.lengthMs;
const floor = (ms: number): number => Math.floor(ms / windowMs) * windowMs;
const ceil = (ms: number): number => Math.ceil(ms / windowMs) * windowMs;
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const bad = (field: string, problem: string, fix: string): never => reject({ kind: 'bad-field', field, problem, fix });
const lengthFix = 'write a number with s, m or h, e.g. "5m"';

/** "5m" in ms; rejects what is no length of time. */
export function parseLength(field: string, text: string, fix = lengthFix): number {
  const match = /^(\d{1,9})([a-z]*)$/.exec(text);
  if (!match) return bad(field, `${JSON.stringify(text)} is not a length of time`, fix);
  const ms = Number(match[1]) * (unitMs[match[2]!] ?? NaN);
  if (match[2] === '') return bad(field, `${JSON.stringify(text)} has no unit`, `did you mean "${text}s"?`);
  if (Number.isNaN(ms)) return bad(field, `${JSON.stringify(text)} has the unknown unit ${match[2]}`, fix);
  return ms > 0 ? ms : bad(field, `${JSON.stringify(text)} is no time at all`, fix);
}

export const iso = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');

/** The range of a request that names none. */
export const fallbackRange = (method: MethodName): string => (method === 'QueryRange' ? '5m' : '1m');

/**
 * Resolves a request's range at `nowMs`; rejects text that is none, and times before retention. `within`: the message that
 * holds the fields, with a dot behind it.
 */
export function resolveRange(request: RangeRequest, fallback: string, nowMs: number, within = ''): TimeRange {
  const { range, startTime, endTime } = request;
  if (startTime || endTime) {
    if (range) return bad(`${within}range`, 'given together with start_time or end_time', 'give one of them');
    if (!startTime) return bad(`${within}start_time`, 'missing', 'give start_time too, or range alone');
    return absolute(
      millis(`${within}start_time`, startTime),
      endTime ? millis(`${within}end_time`, endTime) : undefined,
      startTime,
      nowMs,
      within,
    );
  }
  const text = range || fallback;
  if (text === 'all') return { kind: 'all' };
  const length = parseLength(`${within}range`, text, 'write a number with s, m or h, e.g. "5m", or "all"');
  const fromMs = floor(nowMs - length);
  checkRetention(`${within}range`, text, length > finestTier.retentionMs, nowMs);
  return { kind: 'windows', fromMs, toMs: floor(nowMs) + 2 * windowMs, openEnd: true };
}

/** The same range, earlier by a multiple of a window. */
export function earlier(time: TimeRange, offset: string, nowMs: number, field: string): TimeRange {
  if (time.kind === 'all')
    return bad(field, '"all" has no time before it', 'give a range such as "5m", or leave it out');
  const offsetMs = parseLength(field, offset, 'write a multiple of 10s, e.g. "10m"');
  if (offsetMs % windowMs !== 0) bad(field, `${JSON.stringify(offset)} is not a multiple of 10s`, 'write e.g. "10m"');
  const toMs = (time.openEnd ? floor(nowMs) + windowMs : time.toMs) - offsetMs;
  const fromMs = time.fromMs - offsetMs;
  checkRetention(field, offset, fromMs < floor(nowMs - finestTier.retentionMs), nowMs);
  return { kind: 'windows', fromMs, toMs, openEnd: false };
}

function absolute(
  startMs: number,
  endMs: number | undefined,
  start: Timestamp,
  nowMs: number,
  within: string,
): TimeRange {
  if (startMs > nowMs + windowMs)
    bad(`${within}start_time`, `${timestampText(start)} is in the future`, `it is ${iso(nowMs)} here`);
  if (endMs !== undefined && endMs <= startMs) bad(`${within}end_time`, 'not after start_time', 'swap them');
  checkRetention(
    `${within}start_time`,
    timestampText(start),
    startMs < nowMs - finestTier.retentionMs - windowMs,
    nowMs,
  );
  return {
    kind: 'windows',
    fromMs: floor(startMs),
    toMs: endMs === undefined ? floor(nowMs) + 2 * windowMs : ceil(endMs),
    openEnd: endMs === undefined,
  };
}

function checkRetention(field: string, asked: string, before: boolean, nowMs: number): void {
  if (before) reject({ kind: 'before-retention', field, asked, oldest: iso(ceil(nowMs - finestTier.retentionMs)) });
}

function millis(field: string, t: Timestamp): number {
  const ms = Number(t.seconds) * 1000 + Math.floor(t.nanos / 1e6);
  // Year 1 to 9999, as the proto3 mapping allows.
  if (!Number.isSafeInteger(ms) || ms < -62135596800_000 || ms > 253402300799_999)
    bad(field, 'not a time', 'write RFC 3339, e.g. "2026-01-31T12:00:00Z"');
  return ms;
}
