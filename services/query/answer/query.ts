/** QueryService/Query: one value per group over a time. Rows of all pages + residual of the last = total, always. */
import type { Fleet } from '../checkpoint/fleet.ts';
import type { QueryRequest, QueryRow } from '../../shared/contract/query.ts';
import { cover, emptyCoverage } from './coverage.ts';
import { ask, errorBounds, hidesOverflow, labelsOf, nothingYet, totalBound, totalOverflow } from './grouping.ts';
import { findMetric, metricsOf, type Metric } from './metric.ts';
import { fitPage, textBytes, type Prepared } from './page.ts';
import { resolveRange } from './range.ts';
import { parseOrder, rank, saturated } from './rank.ts';
import { scan } from './scan.ts';
import { int64 } from './sums.ts';

export const queryPage = { fallback: 20, max: 1000 } as const;

export function* prepareQuery(request: QueryRequest, fleet: Fleet, nowMs: number): Generator<void, Prepared<'Query'>> {
  const time = resolveRange(request, '1m', nowMs);
  const metric = findMetric(metricsOf(fleet), request.metric);
  if (!metric) {
    const page = () => ({
      rows: [],
      nextPageToken: '',
      total: '0',
      residual: '0',
      totalErrorBound: '0',
      unit: '',
      coverage: emptyCoverage,
      notes: [nothingYet],
      metric: '',
    });
    return { count: 0, page };
  }
  const q = ask(fleet, metric, request.selector, request.groupBy);
  const order = parseOrder(request.orderBy, q.groupBy);
  // Without labels of the metric overflow cannot be misplaced: it belongs to the host's group like any row.
  const result = yield* scan({
    fleet,
    metric,
    selection: q.selection,
    groupBy: q.groupBy,
    time,
    overflowGrouped: !hidesOverflow(q),
  });
  const covered = cover(fleet, metric, result.hosts, time, nowMs);
  const ranked = rank(result, q.groupBy, order);
  const bound = errorBounds(q, result, covered);
  const grouped = ranked.reduce((n, g) => n + result.totals.at(g), 0n);
  const total = grouped + (hidesOverflow(q) ? totalOverflow(q, covered) : 0n);
  const totalErrorBound = totalBound(q, covered);
  const exact = covered.coverage.exact && totalErrorBound === 0n && ranked.every((g) => bound(g) === 0n);
  const notes = [...covered.notes, ...saturated(result, ranked, total)];
  const unit = metric.schema.kind === 'histogram' ? 'observations' : metric.schema.unit;
  if (metric.schema.kind === 'histogram')
    notes.push('this counts observations; for their values use QueryService/QueryHistogram');
  const row = (g: number): QueryRow => ({
    labels: labelsOf(q.groupBy, result.groups.texts(g)),
    value: int64(result.totals.at(g)),
    ratePerSecond: covered.seconds > 0 ? result.totals.near(g) / covered.seconds : 0,
    hosts: result.hostCounts[g]!,
    errorBound: int64(bound(g)),
  });
  return {
    count: ranked.length,
    page(first, wanted, next) {
      const last = fitPage(
        first,
        Math.min(wanted, ranked.length),
        (r) => 64 + textBytes(q.groupBy) + textBytes(result.groups.texts(ranked[r]!)),
      );
      let residual = total;
      for (let r = 0; r < last; r++) residual -= result.totals.at(ranked[r]!);
      return {
        rows: ranked.slice(first, last).map(row),
        nextPageToken: last < ranked.length ? next(last) : '',
        total: int64(total),
        residual: int64(residual),
        totalErrorBound: int64(totalErrorBound),
        unit,
        coverage: { ...covered.coverage, exact },
        notes: first === 0 ? [...notes, ...hints(request, metric, ranked.length)] : notes,
        metric: metric.name,
      };
    },
  };
}

/** The next thing to try, for whoever asked with few words. */
function hints(request: QueryRequest, metric: Metric, rows: number): string[] {
  if (request.selector || request.groupBy.length > 0 || request.range || request.startTime) return [];
  const label = metric.labels[0] ?? 'host';
  const metrics = request.metric ? '' : '; other metrics: FleetService/ListMetrics';
  return [
    `${rows} groups in the last minute; next: {"metric":"${metric.name}","group_by":["${label}"],"range":"5m"}${metrics}`,
  ];
}
