/**
 * What an answer would cost, known before anything is read or added up. Too much is refused, with how much it is and what
 * would do.
 */
import type { MethodName, RequestOf } from '../../shared/contract/query.ts';
import { fallbackRange, resolveRange, windowMs } from './range.ts';
import { reject } from './rejection.ts';
import type { ScanRequest } from './scan.ts';

/** Rows that one answer may add up: some 10 s of one CPU. */
export const rowsMax = 500_000_000;

const ranged: ReadonlySet<MethodName> = new Set([
  'Query',
  'QueryRange',
  'QueryHistogram',
  'QueryDistinct',
  'QueryStacks',
]);
const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
const grouped = (n: number): string => n.toLocaleString('en-US');

/** Rejects an answer that would have to read more stored bytes than `bytesMax`. */
export function admitBytes<M extends MethodName>(
  method: M,
  request: RequestOf<M>,
  bytes: number,
  bytesMax: number,
  nowMs: number,
): void {
  if (bytes <= bytesMax) return;
  reject({
    kind: 'scan-too-large',
    estimate: `about ${mib(bytes)} of stored counts would have to be read`,
    allowed: `--max-scan is ${mib(bytesMax)}`,
    found: bytes,
    limit: bytesMax,
    fix: `${narrower(method, request, bytesMax / bytes, nowMs)}, or raise --max-scan`,
  });
}

/** What asks for `share` of it. */
function narrower(method: MethodName, request: object, share: number, nowMs: number): string {
  if (method === 'GetLedger') return 'name one metric';
  if (!ranged.has(method)) return 'ask for a metric with fewer labels';
  const time = resolveRange(request as RequestOf<'QueryRange'>, fallbackRange(method), nowMs);
  if (time.kind === 'all') return 'ask for a range such as "5m" instead of "all"';
  const spanMs = time.toMs - time.fromMs;
  const fits = Math.floor((spanMs * share) / windowMs) * (windowMs / 1000);
  return fits > 0 ? `ask for a shorter range: about ${fits}s of ${spanMs / 1000}s would fit` : 'ask for another metric';
}

/** Rejects a scan of more than `rowsMax` rows. */
export function admitRows({ metric, selection, time }: ScanRequest): void {
  let rows = 0;
  for (const host of selection.hosts) {
    for (const { bases, lasts, windows } of metric.hosts.get(host.name)!) {
      if (time.kind === 'all') for (const { values } of [...bases, ...lasts]) rows += values.count;
      else
        for (const { startMs, values } of windows)
          if (startMs >= time.fromMs && startMs < time.toMs) rows += values.increments.count;
    }
  }
  if (rows <= rowsMax) return;
  const hosts = selection.hosts.length;
  const shorter =
    time.kind === 'all' ? 'a range such as "5m"' : `a shorter range than ${(time.toMs - time.fromMs) / 1000}s`;
  reject({
    kind: 'scan-too-large',
    estimate: `${grouped(rows)} rows of ${grouped(hosts)} hosts would have to be added up`,
    allowed: `the limit is ${grouped(rowsMax)}`,
    found: rows,
    limit: rowsMax,
    fix: `${hosts > 1 ? `select fewer hosts (about ${grouped(Math.max(1, Math.floor((hosts * rowsMax) / rows)))} would fit) or ` : ''}ask for ${shorter}`,
  });
}
