/** QueryService/QueryRange: points per group and step. At each time: series of all pages + residual of the last = total. */
import type { Fleet } from '../checkpoint/fleet.ts';
import type { Point, QueryRangeRequest, QueryRangeResponse } from '../../shared/contract/query.ts';
import { cover } from './coverage.ts';
import { timestamp } from './times.ts';
import { valueAt, type Grouped } from './grouped.ts';
import { ask, errorBounds, hidesOverflow, labelsOf, totalBound } from './grouping.ts';
import { findMetric, metricsOf, unitOf } from './metric.ts';
import { nothing } from './nothing.ts';
import { fitPage, textBytes, type Prepared } from './page.ts';
import { iso, fallbackRange, resolveRange } from './range.ts';
import { parseOrder, rank, saturated } from './rank.ts';
import { reject } from './rejection.ts';
import { scan } from './scan.ts';
import { finestStepMs, isFine, stepsOf, type Steps } from './steps.ts';
import { int64 } from './sums.ts';

export const rangePage = { fallback: 20, max: 200 } as const;
export function* prepareRange(
  request: QueryRangeRequest,
  fleet: Fleet,
  nowMs: number,
): Generator<void, Prepared<'QueryRange'>> {
  const time = resolveRange(request, fallbackRange('QueryRange'), nowMs);
  if (time.kind === 'all')
    reject({
      kind: 'bad-field',
      field: 'range',
      problem: '"all" has no points in time',
      fix: 'give a length such as "15m", or ask QueryService/Query for lifetime totals',
    });
  const metric = findMetric(metricsOf(fleet), request.metric);
  const steps = stepsOf(time, request.step, nowMs, metric && { finestMs: finestStepMs(metric.schema) });
  const step = { seconds: String(steps.lengthMs / 1000), nanos: 0 };
  if (!metric) return nothing({ series: [], total: [], residual: [], step }, fleet);
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
  const { grouped } = result;
  const covered = cover(fleet, metric, result.hosts, time, nowMs);
  const ranked = yield* rank(grouped, q.groupBy, order);
  const bounds = ranked.map(errorBounds(q, result, covered));
  const withOverflow = hidden && q.selection.rowMatchers.length === 0;
  const total = Array.from({ length: steps.count }, (_, s) =>
    withOverflow ? result.unlabelledBySteps.at(s) + result.pendingBySteps[s]! : 0n,
  );
  for (const g of ranked) for (let s = 0; s < steps.count; s++) total[s]! += valueAt(grouped, g, s);
  const totalsFit = totalBound(q, result, covered) === 0n;
  const exact = covered.coverage.exact && totalsFit && bounds.every((b) => b === 0n);
  const whole = total.reduce((n, t) => n + t, 0n);
  const notes = [...covered.notes, ...saturated(grouped, ranked, whole)];
  if (time.openEnd) notes.push(filling(steps, covered.endMs));
  const undivided = result.hosts.reduce((n, h) => n + h.undivided, 0n);
  if (undivided > 0n)
    notes.push(
      `${undivided} ${unitOf(metric.schema)} of ${whole} could not be told by second, and stand where they were read`,
    );
  return rangePages({
    grouped,
    ranked,
    bounds,
    groupBy: q.groupBy,
    total,
    // What is kept by second is dated finer than it is read.
    points: pointsOf(steps, covered.startMs, covered.endMs, isFine(steps) ? steps.lengthMs : covered.intervalMs),
    rest: {
      unit: unitOf(metric.schema),
      step,
      coverage: { ...covered.coverage, exact },
      notes,
      metric: metric.name,
    },
  });
}

function filling({ fromMs, lengthMs, count }: Steps, endMs: number): string {
  const last = fromMs + (count - 1) * lengthMs;
  if (!isFine({ lengthMs })) return `the last point, from ${iso(last)}, is still filling`;
  return `points from ${iso(Math.min(last, Math.floor(endMs / lengthMs) * lengthMs))} on are still filling`;
}

interface Parts {
  readonly grouped: Grouped;
  readonly ranked: readonly number[];
  /** By rank. */
  readonly bounds: readonly bigint[];
  readonly groupBy: readonly string[];
  /** By step. */
  readonly total: readonly bigint[];
  readonly points: (valueAt: (step: number) => bigint) => Point[];
  readonly rest: Pick<QueryRangeResponse, 'unit' | 'step' | 'coverage' | 'notes' | 'metric'>;
}

/** Cuts pages; a function of its own, so that a kept answer holds its parts and not the fleet. */
function rangePages({ grouped, ranked, bounds, groupBy, total, points, rest }: Parts): Prepared<'QueryRange'> {
  const texts = (r: number): string[] => grouped.groups.texts(ranked[r]!);
  return {
    count: ranked.length * total.length,
    page(first, wanted, next) {
      const bytesOf = (r: number): number => 64 + total.length * 44 + textBytes(groupBy) + textBytes(texts(r));
      const last = fitPage(first, Math.min(wanted, ranked.length), bytesOf);
      const residual = [...total];
      for (let r = 0; r < last; r++) {
        for (let s = 0; s < total.length; s++) residual[s]! -= valueAt(grouped, ranked[r]!, s);
      }
      const series = ranked.slice(first, last).map((g, i) => ({
        labels: labelsOf(groupBy, texts(first + i)),
        points: points((s) => valueAt(grouped, g, s)),
        value: int64(grouped.totals.at(g)),
        hosts: grouped.hostCounts[g]!,
        errorBound: int64(bounds[first + i]!),
      }));
      return {
        ...rest,
        series,
        nextPageToken: last < ranked.length ? next(last) : '',
        total: points((s) => total[s]!),
        residual: points((s) => residual[s]!),
      };
    },
  };
}

/** Points of one series; a rate is over the part of its step that the answer covers, at least a read interval. */
function pointsOf(steps: Steps, fromMs: number, endMs: number, intervalMs: number): Parts['points'] {
  const frame = Array.from({ length: steps.count }, (_, s) => {
    const startMs = steps.fromMs + s * steps.lengthMs;
    const coveredMs = Math.min(startMs + steps.lengthMs, endMs) - Math.max(startMs, fromMs);
    return { time: timestamp(startMs), seconds: Math.max(coveredMs, intervalMs) / 1000 };
  });
  return (value) =>
    frame.map(({ time, seconds }, s) => ({ time, value: int64(value(s)), ratePerSecond: Number(value(s)) / seconds }));
}
