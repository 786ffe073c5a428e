/**
 * QueryService/QueryHistogram: distributions per group. A quantile is the bucket where the cumulative count reaches
 * ⌈q · count⌉: its limits bound the true value, its middle is within 6.25 % (algebra/histogram.ts).
 */
import type { Fleet } from '../checkpoint/fleet.ts';
import type { Bucket, HistogramRow, Quantile, QueryHistogramRequest } from '../../shared/contract/query.ts';
import { bucketLower, bucketUpper } from '../../shared/algebra/histogram.ts';
import { cover, emptyCoverage } from './coverage.ts';
import { ask, errorBounds, labelsOf, nothingYet, totalBound, totalOverflow } from './grouping.ts';
import { findMetric, metricsOf } from './metric.ts';
import { fitPage, textBytes, type Prepared } from './page.ts';
import { resolveRange } from './range.ts';
import { parseOrder, rank, saturated } from './rank.ts';
import { reject } from './rejection.ts';
import { scan, type Scan } from './scan.ts';
import { int64 } from './sums.ts';

export const histogramPage = { fallback: 20, max: 100 } as const;
const defaultQuantiles = [0.5, 0.9, 0.99, 0.999] as const;
const quantilesMax = 32;

/** Count by bucket number, ascending, nothing that is zero. */
export type Distribution = readonly (readonly [bucket: number, count: bigint])[];

export function quantileOf(quantile: number, distribution: Distribution): Quantile | undefined {
  const count = distribution.reduce((n, [, c]) => n + c, 0n);
  if (count === 0n) return undefined;
  // ⌈q · count⌉ without rounding the count to a double: q has 53 bits.
  const scaled = BigInt(Math.round(quantile * 2 ** 53));
  const wanted = (scaled * count + (2n ** 53n - 1n)) >> 53n;
  let reached = 0n;
  for (const [bucket, c] of distribution) {
    reached += c;
    if (reached < wanted && reached < count) continue;
    const [lower, upper] = [bucketLower(bucket), bucketUpper(bucket)];
    return { quantile, value: (Number(lower) + Number(upper)) / 2, lower: int64(lower), upper: int64(upper) };
  }
  return undefined;
}

export function* prepareHistogram(
  request: QueryHistogramRequest,
  fleet: Fleet,
  nowMs: number,
): Generator<void, Prepared<'QueryHistogram'>> {
  const time = resolveRange(request, '1m', nowMs);
  const quantiles = checkedQuantiles(request.quantiles);
  const metric = findMetric(metricsOf(fleet), request.metric, 'histogram');
  if (!metric) {
    const empty = {
      overall: undefined,
      nextPageToken: '',
      total: '0',
      residual: '0',
      totalErrorBound: '0',
      unit: '',
      metric: '',
    };
    return { count: 0, page: () => ({ rows: [], ...empty, coverage: emptyCoverage, notes: [nothingYet] }) };
  }
  const q = ask(fleet, metric, request.selector, request.groupBy);
  const order = parseOrder(request.orderBy, q.groupBy, ['sum']);
  // Rows that lost their labels lost their bucket too.
  const result = yield* scan({
    fleet,
    metric,
    selection: q.selection,
    groupBy: q.groupBy,
    time,
    overflowGrouped: false,
    byBucket: true,
  });
  const covered = cover(fleet, metric, result.hosts, time, nowMs);
  const ranked = rank(result, q.groupBy, order);
  const bound = errorBounds(q, result, covered, true);
  const labelled = ranked.reduce((n, g) => n + result.totals.at(g), 0n);
  const total = labelled + totalOverflow(q, covered);
  const totalErrorBound = totalBound(q, covered);
  const exact = covered.coverage.exact && ranked.every((g) => bound(g) === 0n) && covered.overflow === 0n;
  const hosts = result.hosts.filter((h) => h.counted > h.overflow).length;
  const rowOf = (distribution: Distribution, sum: bigint): HistogramRow => {
    const count = distribution.reduce((n, [, c]) => n + c, 0n);
    const buckets = distribution.map(([b, c]): Bucket => ({
      lower: int64(bucketLower(b)),
      upper: int64(bucketUpper(b)),
      count: int64(c),
    }));
    const found = quantiles.map((p) => quantileOf(p, distribution)).filter((p) => p !== undefined);
    const ratePerSecond = covered.seconds > 0 ? Number(count) / covered.seconds : 0;
    return {
      labels: {},
      count: int64(count),
      sum: int64(sum),
      quantiles: found,
      buckets,
      hosts: 0,
      errorBound: '0',
      ratePerSecond,
    };
  };
  const columns = sortedColumns(result);
  const whole = new Map<number, bigint>();
  for (const g of ranked)
    for (const [b, c] of distributionOf(result, g, columns)) whole.set(b, (whole.get(b) ?? 0n) + c);
  const overallSum = ranked.reduce((n, g) => n + result.sums.at(g), 0n);
  const overall = {
    ...rowOf(
      [...whole].sort(([a], [b]) => a - b),
      overallSum,
    ),
    hosts,
    errorBound: int64(covered.missing.reduce((n, m) => n + m, 0n)),
  };
  const notes = [...covered.notes, ...saturated(result, ranked, total)];
  if (covered.overflow > 0n)
    notes.push('observations that lost their labels lost their bucket too: quantiles leave them out');
  return {
    count: ranked.length,
    page(first, wanted, next) {
      const last = fitPage(first, Math.min(wanted, ranked.length), (r) => {
        const distribution = distributionOf(result, ranked[r]!, columns);
        return (
          128 +
          quantiles.length * 40 +
          distribution.length * 34 +
          textBytes(q.groupBy) +
          textBytes(result.groups.texts(ranked[r]!))
        );
      });
      let residual = total;
      for (let r = 0; r < last; r++) residual -= result.totals.at(ranked[r]!);
      const rows = ranked.slice(first, last).map((g) => ({
        ...rowOf(distributionOf(result, g, columns), result.sums.at(g)),
        labels: labelsOf(q.groupBy, result.groups.texts(g)),
        hosts: result.hostCounts[g]!,
        errorBound: int64(bound(g)),
      }));
      return {
        rows,
        overall,
        nextPageToken: last < ranked.length ? next(last) : '',
        total: int64(total),
        residual: int64(residual),
        totalErrorBound: int64(totalErrorBound),
        unit: metric.schema.unit,
        coverage: { ...covered.coverage, exact },
        notes,
        metric: metric.name,
      };
    },
  };
}

const sortedColumns = (result: Scan): (readonly [column: number, bucket: number])[] =>
  result.buckets.map((bucket, column) => [column, bucket] as const).sort(([, a], [, b]) => a - b);

function distributionOf(result: Scan, group: number, columns: readonly (readonly [number, number])[]): Distribution {
  const found: (readonly [number, bigint])[] = [];
  for (const [column, bucket] of columns) {
    const cell = result.cellOf(group, 0, column);
    if (cell >= 0 && !result.counts.isZero(cell)) found.push([bucket, result.counts.at(cell)]);
  }
  return found;
}

function checkedQuantiles(asked: readonly number[]): readonly number[] {
  if (asked.length === 0) return defaultQuantiles;
  if (asked.length > quantilesMax)
    reject({ kind: 'bad-field', field: 'quantiles', problem: `more than ${quantilesMax}`, fix: 'ask for fewer' });
  const wrong = asked.find((p) => !(p >= 0 && p <= 1));
  if (wrong !== undefined)
    reject({
      kind: 'bad-field',
      field: 'quantiles',
      problem: `${wrong} is not between 0 and 1`,
      fix: 'write 0.99 for the 99th percentile',
    });
  return asked;
}
