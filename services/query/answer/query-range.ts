/** QueryService/QueryRange: points per group and step. At each time: series of all pages + residual of the last = total. */
import type { Fleet } from '../checkpoint/fleet.ts';
import type { Point, QueryRangeRequest } from '../../shared/contract/query.ts';
import { cover, emptyCoverage, timestamp, type Covered } from './coverage.ts';
import { ask, errorBounds, hidesOverflow, labelsOf, nothingYet } from './grouping.ts';
import { findMetric, metricsOf } from './metric.ts';
import { fitPage, textBytes, type Prepared } from './page.ts';
import { iso, parseLength, resolveRange, windowMs, type TimeRange } from './range.ts';
import { parseOrder, rank, saturated } from './rank.ts';
import { reject } from './rejection.ts';
import { scan } from './scan.ts';
import { int64 } from './sums.ts';

export const rangePage = { fallback: 20, max: 200 } as const;
const pointsAimed = 60;
const pointsMax = 400;

export interface Steps {
  readonly fromMs: number;
  readonly lengthMs: number;
  readonly count: number;
}

/** Steps of a range: multiples of a window, aligned to their own length, so that repeats agree. */
export function stepsOf(time: Extract<TimeRange, { kind: 'windows' }>, step: string, nowMs: number): Steps {
  const toMs = time.openEnd
    ? Math.max(time.fromMs + windowMs, Math.floor(nowMs / windowMs) * windowMs + windowMs)
    : time.toMs;
  const spanMs = toMs - time.fromMs;
  const lengthMs =
    step === ''
      ? Math.ceil(spanMs / pointsAimed / windowMs) * windowMs
      : parseLength('step', step, 'write a multiple of 10s, e.g. "30s"');
  if (lengthMs % windowMs !== 0)
    reject({
      kind: 'bad-field',
      field: 'step',
      problem: `${JSON.stringify(step)} is not a multiple of 10s`,
      fix: `did you mean "${Math.ceil(lengthMs / windowMs) * 10}s"?`,
    });
  const fromMs = Math.floor(time.fromMs / lengthMs) * lengthMs;
  const count = Math.ceil((toMs - fromMs) / lengthMs);
  if (count > pointsMax)
    reject({
      kind: 'too-large',
      what: 'points a series',
      found: count,
      limit: pointsMax,
      fix: 'ask for a longer step',
    });
  return { fromMs, lengthMs, count };
}

export function* prepareRange(
  request: QueryRangeRequest,
  fleet: Fleet,
  nowMs: number,
): Generator<void, Prepared<'QueryRange'>> {
  const time = resolveRange(request, '5m', nowMs);
  if (time.kind === 'all')
    reject({
      kind: 'bad-field',
      field: 'range',
      problem: '"all" has no points in time',
      fix: 'give a length such as "15m", or ask QueryService/Query for lifetime totals',
    });
  const steps = stepsOf(time, request.step, nowMs);
  const step = { seconds: String(steps.lengthMs / 1000), nanos: 0 };
  const metric = findMetric(metricsOf(fleet), request.metric);
  if (!metric) {
    const page = () => ({
      series: [],
      nextPageToken: '',
      total: [],
      residual: [],
      unit: '',
      step,
      coverage: emptyCoverage,
      notes: [nothingYet],
      metric: '',
    });
    return { count: 0, page };
  }
  const q = ask(fleet, metric, request.selector, request.groupBy);
  const order = parseOrder(request.orderBy, q.groupBy);
  const hidden = hidesOverflow(q);
  const result = yield* scan({
    fleet,
    metric,
    selection: q.selection,
    groupBy: q.groupBy,
    time,
    overflowGrouped: !hidden,
    steps,
  });
  const covered = cover(fleet, metric, result.hosts, time, nowMs);
  const ranked = rank(result, q.groupBy, order);
  const bound = errorBounds(q, result, covered);
  // One step alone makes no cells: its values are the totals.
  const valueAt = (g: number, s: number): bigint => {
    if (steps.count === 1) return result.totals.at(g);
    const cell = result.cellOf(g, s, 0);
    return cell < 0 ? 0n : result.counts.at(cell);
  };
  const total = Array.from({ length: steps.count }, (_, s) =>
    hidden && q.selection.rowMatchers.length === 0 ? result.overflowBySteps.at(s) : 0n,
  );
  for (const g of ranked) for (let s = 0; s < steps.count; s++) total[s]! += valueAt(g, s);
  const points = pointsOf(steps, covered);
  const exact =
    covered.coverage.exact &&
    ranked.every((g) => bound(g) === 0n) &&
    (q.selection.rowMatchers.length === 0 || covered.overflow === 0n);
  const notes = [
    ...covered.notes,
    ...saturated(
      result,
      ranked,
      total.reduce((n, t) => n + t, 0n),
    ),
  ];
  if (time.openEnd)
    notes.push(`the last point, from ${iso(steps.fromMs + (steps.count - 1) * steps.lengthMs)}, is still filling`);
  return {
    count: ranked.length * steps.count,
    page(first, wanted, next) {
      const last = fitPage(
        first,
        Math.min(wanted, ranked.length),
        (r) => 64 + steps.count * 44 + textBytes(q.groupBy) + textBytes(result.groups.texts(ranked[r]!)),
      );
      const residual = [...total];
      for (let r = 0; r < last; r++) for (let s = 0; s < steps.count; s++) residual[s]! -= valueAt(ranked[r]!, s);
      const series = ranked.slice(first, last).map((g) => ({
        labels: labelsOf(q.groupBy, result.groups.texts(g)),
        points: points((s) => valueAt(g, s)),
        value: int64(result.totals.at(g)),
        hosts: result.hostCounts[g]!,
        errorBound: int64(bound(g)),
      }));
      return {
        series,
        nextPageToken: last < ranked.length ? next(last) : '',
        total: points((s) => total[s]!),
        residual: points((s) => residual[s]!),
        unit: metric.schema.kind === 'histogram' ? 'observations' : metric.schema.unit,
        step,
        coverage: { ...covered.coverage, exact },
        notes,
        metric: metric.name,
      };
    },
  };
}

/** Points of one series; a rate is over the part of its step that the answer covers. */
function pointsOf(steps: Steps, covered: Covered): (valueAt: (step: number) => bigint) => Point[] {
  const frame = Array.from({ length: steps.count }, (_, s) => {
    const startMs = steps.fromMs + s * steps.lengthMs;
    const coveredMs = Math.min(startMs + steps.lengthMs, covered.endMs) - Math.max(startMs, covered.startMs);
    return { time: timestamp(startMs), seconds: coveredMs > 0 ? coveredMs / 1000 : steps.lengthMs / 1000 };
  });
  return (valueAt) =>
    frame.map(({ time, seconds }, s) => {
      const value = valueAt(s);
      return { time, value: int64(value), ratePerSecond: Number(value) / seconds };
    });
}
