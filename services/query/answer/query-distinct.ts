/**
 * QueryService/QueryDistinct: how many different values per group. A value's pair (algebra/distinct.ts) that occurs in
 * any row of a group occurs in the group: hosts and windows are joined by adding rows up, and a value counts once.
 */
import type { Fleet } from '../checkpoint/fleet.ts';
import type { DistinctRow, QueryDistinctRequest, QueryDistinctResponse } from '../../shared/contract/query.ts';
import { estimateDistinct } from '../../shared/algebra/distinct.ts';
import { cover } from './coverage.ts';
import type { Grouped } from './grouped.ts';
import { ask, errorBounds, labelsOf } from './grouping.ts';
import { findMetric, metricsOf } from './metric.ts';
import { nothing } from './nothing.ts';
import { fitPage, textBytes, type Prepared } from './page.ts';
import { fallbackRange, resolveRange } from './range.ts';
import { parseOrder, rank } from './rank.ts';
import { scan } from './scan.ts';
import { int64, Sums } from './sums.ts';

export const distinctPage = { fallback: 20, max: 1000 } as const;

const noDistinct =
  'no host counts different values: load a probe that does, e.g. `muster load processes`; FleetService/ListMetrics shows what there is';

type Counted = Pick<DistinctRow, 'value' | 'lower' | 'upper'>;

/** `hidden`: observations that lost their labels, each perhaps of one more value. */
function counted(pairs: Iterable<number>, hidden: bigint): Counted {
  const { value, bound } = estimateDistinct(pairs);
  // Each value was observed: there is one at least where there is any.
  const lower = Math.max(value > 0 ? 1 : 0, value - bound);
  return { value: String(value), lower: String(lower), upper: int64(BigInt(value + bound) + hidden) };
}

export function* prepareDistinct(
  request: QueryDistinctRequest,
  fleet: Fleet,
  nowMs: number,
): Generator<void, Prepared<'QueryDistinct'>> {
  const time = resolveRange(request, fallbackRange('QueryDistinct'), nowMs);
  const metric = findMetric(metricsOf(fleet), request.metric, 'distinct');
  if (!metric) return nothing({ rows: [], overall: undefined }, fleet, noDistinct);
  const q = ask(fleet, metric, request.selector, request.groupBy);
  const order = parseOrder(request.orderBy, q.groupBy);
  const result = yield* scan({
    fleet,
    metric,
    selection: q.selection,
    groupBy: q.groupBy,
    time,
    overflowGrouped: false,
    byBucket: true,
  });
  const { grouped } = result;
  const covered = cover(fleet, metric, result.hosts, time, nowMs);
  const pairs = grouped.groups.labels.map((): number[] => []);
  for (const { group, column } of grouped.cells.places()) pairs[group]!.push(grouped.buckets[column]!);
  yield;
  const hidden = errorBounds(q, result, covered, true);
  const rows: Counted[] = [];
  const values = new Sums();
  for (const [group, own] of pairs.entries()) {
    const row = counted(own, hidden(group));
    rows.push(row);
    values.addBig(group, BigInt(row.value));
    if (group % 64 === 63) yield;
  }
  const ranked = yield* rank({ ...grouped, totals: values }, q.groupBy, order);
  const overall: DistinctRow = {
    labels: {},
    ...counted(
      grouped.buckets,
      covered.missing.reduce((n, m) => n + m, 0n),
    ),
    observations: int64(ranked.reduce((n, g) => n + grouped.totals.at(g), 0n)),
    hosts: result.hosts.filter((h) => h.counted > h.overflow).length,
  };
  const notes = [...covered.notes];
  if (covered.overflow > 0n)
    notes.push(
      'observations that lost their labels may have been of values that no row has: upper allows for one each',
    );
  return distinctPages({
    grouped,
    ranked,
    rows,
    groupBy: q.groupBy,
    rest: {
      overall,
      unit: metric.schema.unit,
      // An estimate is not exact, whatever it covers.
      coverage: { ...covered.coverage, exact: false },
      notes,
      metric: metric.name,
    },
  });
}

interface Parts {
  readonly grouped: Grouped;
  readonly ranked: readonly number[];
  /** By group. */
  readonly rows: readonly Counted[];
  readonly groupBy: readonly string[];
  readonly rest: Pick<QueryDistinctResponse, 'overall' | 'unit' | 'coverage' | 'notes' | 'metric'>;
}

/** Cuts pages; a function of its own, so that a kept answer holds its parts and not the fleet. */
function distinctPages({ grouped, ranked, rows, groupBy, rest }: Parts): Prepared<'QueryDistinct'> {
  const texts = (r: number): string[] => grouped.groups.texts(ranked[r]!);
  return {
    count: ranked.length,
    page(first, wanted, next) {
      const bytesOf = (r: number): number => 64 + textBytes(groupBy) + textBytes(texts(r));
      const last = fitPage(first, Math.min(wanted, ranked.length), bytesOf);
      return {
        ...rest,
        rows: ranked.slice(first, last).map((g, i) => ({
          labels: labelsOf(groupBy, texts(first + i)),
          ...rows[g]!,
          observations: int64(grouped.totals.at(g)),
          hosts: grouped.hostCounts[g]!,
        })),
        nextPageToken: last < ranked.length ? next(last) : '',
      };
    },
  };
}
