/** QueryService/Query: one value per group over a time. Rows of all pages + residual of the last = total, always. */
import type { Fleet } from '../checkpoint/fleet.ts';
import type { QueryRequest, QueryResponse, QueryRow } from '../../shared/contract/query.ts';
import { cover } from './coverage.ts';
import type { Grouped } from './grouped.ts';
import { ask, errorBounds, hidesOverflow, labelsOf, totalBound, totalUnlabelled } from './grouping.ts';
import type { TableKind } from '../../shared/contract/lineage.ts';
import { findMetric, metricsOf, unitOf, type Metric } from './metric.ts';
import { nothing } from './nothing.ts';
import { fitPage, textBytes, type Prepared } from './page.ts';
import { fallbackRange, resolveRange } from './range.ts';
import { parseOrder, rank, saturated } from './rank.ts';
import { scan } from './scan.ts';
import { int64 } from './sums.ts';

export const queryPage = { fallback: 20, max: 1000 } as const;

export function* prepareQuery(request: QueryRequest, fleet: Fleet, nowMs: number): Generator<void, Prepared<'Query'>> {
  const time = resolveRange(request, fallbackRange('Query'), nowMs);
  const metric = findMetric(metricsOf(fleet), request.metric);
  if (!metric) return nothing({ rows: [], total: '0', residual: '0', totalErrorBound: '0' }, fleet);
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
  const { grouped } = result;
  const covered = cover(fleet, metric, result.hosts, time, nowMs);
  const ranked = yield* rank(grouped, q.groupBy, order);
  const bounds = ranked.map(errorBounds(q, result, covered));
  const inRows = ranked.reduce((n, g) => n + grouped.totals.at(g), 0n);
  const total = inRows + (hidesOverflow(q) ? totalUnlabelled(q, covered) : 0n);
  const totalErrorBound = totalBound(q, result, covered);
  const exact = covered.coverage.exact && totalErrorBound === 0n && bounds.every((b) => b === 0n);
  const notes = [...covered.notes, ...saturated(grouped, ranked, total)];
  const elsewhere = valuesElsewhere[metric.schema.kind];
  if (elsewhere) notes.push(elsewhere);
  return queryPages({
    grouped,
    ranked,
    bounds,
    groupBy: q.groupBy,
    total,
    seconds: covered.seconds,
    notes,
    hints: hints(request, metric, ranked.length),
    rest: {
      totalErrorBound: int64(totalErrorBound),
      unit: unitOf(metric.schema),
      coverage: { ...covered.coverage, exact },
      metric: metric.name,
    },
  });
}

/** Where the values of a kind are to be had, if not here. */
const valuesElsewhere: Readonly<Partial<Record<TableKind, string>>> = {
  histogram: 'this counts observations; for their values use QueryService/QueryHistogram',
  distinct: 'this counts observations; for the number of different values use QueryService/QueryDistinct',
  filter: 'this counts bits that are set; to ask the filter use QueryService/Contains',
};

interface Parts {
  readonly grouped: Grouped;
  readonly ranked: readonly number[];
  /** By rank. */
  readonly bounds: readonly bigint[];
  readonly groupBy: readonly string[];
  readonly total: bigint;
  readonly seconds: number;
  readonly notes: readonly string[];
  /** On the first page alone. */
  readonly hints: readonly string[];
  readonly rest: Pick<QueryResponse, 'totalErrorBound' | 'unit' | 'coverage' | 'metric'>;
}

/** Cuts pages; a function of its own, so that a kept answer holds its parts and not the fleet. */
function queryPages({
  grouped,
  ranked,
  bounds,
  groupBy,
  total,
  seconds,
  notes,
  hints,
  rest,
}: Parts): Prepared<'Query'> {
  const texts = (r: number): string[] => grouped.groups.texts(ranked[r]!);
  const row = (g: number, r: number): QueryRow => ({
    labels: labelsOf(groupBy, texts(r)),
    value: int64(grouped.totals.at(g)),
    ratePerSecond: seconds > 0 ? grouped.totals.near(g) / seconds : 0,
    hosts: grouped.hostCounts[g]!,
    errorBound: int64(bounds[r]!),
  });
  return {
    count: ranked.length,
    page(first, wanted, next) {
      const bytesOf = (r: number): number => 64 + textBytes(groupBy) + textBytes(texts(r));
      const last = fitPage(first, Math.min(wanted, ranked.length), bytesOf);
      let residual = total;
      for (let r = 0; r < last; r++) residual -= grouped.totals.at(ranked[r]!);
      return {
        ...rest,
        rows: ranked.slice(first, last).map((g, i) => row(g, first + i)),
        nextPageToken: last < ranked.length ? next(last) : '',
        total: int64(total),
        residual: int64(residual),
        notes: first === 0 ? [...notes, ...hints] : [...notes],
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
    `${rows} ${rows === 1 ? 'group' : 'groups'} in the last minute; next: {"metric":"${metric.name}","group_by":["${label}"],"range":"5m"}${metrics}`,
  ];
}
