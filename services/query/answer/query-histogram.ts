/**
 * QueryService/QueryHistogram: distributions per group. A quantile is the bucket where the cumulative count reaches
 * ⌈q · count⌉: its limits bound the true value, its middle is within 6.25 % (algebra/histogram.ts).
 */
import type { Fleet } from '../checkpoint/fleet.ts';
import type {
  Bucket,
  HistogramRow,
  Quantile,
  QueryHistogramRequest,
  QueryHistogramResponse,
} from '../../shared/contract/query.ts';
import { bucketLower, bucketUpper } from '../../shared/algebra/histogram.ts';
import { cover } from './coverage.ts';
import { duration, timestamp } from './times.ts';
import { distribute, type Distributed, type Distribution, type Distributions } from './distributions.ts';
import type { Grouped } from './grouped.ts';
import { ask, errorBounds, labelsOf, selectedBound, totalBound, totalUnlabelled } from './grouping.ts';
import { findMetric, metricsOf } from './metric.ts';
import { nothing } from './nothing.ts';
import { fitPage, textBytes, type Prepared } from './page.ts';
import { stepsOf, type Steps } from './steps.ts';
import { fallbackRange, resolveRange } from './range.ts';
import { parseOrder, rank, saturated } from './rank.ts';
import { reject } from './rejection.ts';
import { scan } from './scan.ts';
import { int64 } from './sums.ts';

export const histogramPage = { fallback: 20, max: 100 } as const;
const defaultQuantiles = [0.5, 0.9, 0.99, 0.999] as const;
const quantilesMax = 32;
const noHistogram =
  'no host counts a distribution: load a probe that does, e.g. `muster load runqueue`; FleetService/ListMetrics shows what there is';
/** A heat map's columns: with every bucket in use a row and the sum of all still fit one reply. */
const stepsMax = 64;

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
  const time = resolveRange(request, fallbackRange('QueryHistogram'), nowMs);
  const quantiles = checkedQuantiles(request.quantiles);
  const metric = findMetric(metricsOf(fleet), request.metric, 'histogram');
  if (!metric) {
    const totals = { total: '0', residual: '0', totalErrorBound: '0' };
    return nothing({ rows: [], overall: undefined, ...totals, step: undefined }, fleet, noHistogram);
  }
  if (request.step && time.kind === 'all')
    reject({
      kind: 'bad-field',
      field: 'range',
      problem: '"all" has no steps in time',
      fix: 'give a length such as "15m", or leave step out',
    });
  const steps =
    request.step && time.kind === 'windows' ? stepsOf(time, request.step, nowMs, { countMax: stepsMax }) : undefined;
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
    ...(steps ? { steps } : {}),
  });
  const { grouped } = result;
  const covered = cover(fleet, metric, result.hosts, time, nowMs);
  const ranked = yield* rank(grouped, q.groupBy, order);
  const bounds = ranked.map(errorBounds(q, result, covered, true));
  const labelled = ranked.reduce((n, g) => n + grouped.totals.at(g), 0n);
  const total = labelled + totalUnlabelled(q, covered);
  const totalErrorBound = totalBound(q, result, covered);
  const exact =
    covered.coverage.exact && covered.overflow === 0n && totalErrorBound === 0n && bounds.every((b) => b === 0n);
  const notes = [...covered.notes, ...saturated(grouped, ranked, total)];
  if (covered.overflow > 0n) {
    notes.push('observations that lost their labels lost their bucket too: quantiles leave them out');
  }
  return histogramPages({
    grouped,
    distributions: yield* distribute(grouped),
    ranked,
    bounds,
    groupBy: q.groupBy,
    quantiles,
    steps,
    total,
    seconds: covered.seconds,
    hosts: result.hosts.filter((h) => h.counted > h.overflow).length,
    missing: covered.missing.reduce((n, m) => n + m, selectedBound(q, result)),
    pendingSum:
      q.selection.rowMatchers.length > 0
        ? 0n
        : result.hosts.reduce((n, { sampled }) => n + sampled.sumSeen - sampled.sumGiven, 0n),
    rest: {
      totalErrorBound: int64(totalErrorBound),
      unit: metric.schema.unit,
      coverage: { ...covered.coverage, exact },
      notes,
      metric: metric.name,
      step: steps && duration(steps.lengthMs),
    },
  });
}

interface Parts {
  readonly grouped: Grouped;
  readonly distributions: Distributions;
  readonly ranked: readonly number[];
  /** By rank. */
  readonly bounds: readonly bigint[];
  readonly groupBy: readonly string[];
  readonly quantiles: readonly number[];
  readonly steps: Steps | undefined;
  readonly total: bigint;
  readonly seconds: number;
  /** Hosts that observed anything, and what all of them may lack. */
  readonly hosts: number;
  readonly missing: bigint;
  /** What no row holds of the sum of values, as labels were sampled. */
  readonly pendingSum: bigint;
  readonly rest: Pick<QueryHistogramResponse, 'totalErrorBound' | 'unit' | 'coverage' | 'notes' | 'metric' | 'step'>;
}

/** Cuts pages; a function of its own, so that a kept answer holds its parts and not the fleet. */
function histogramPages(p: Parts): Prepared<'QueryHistogram'> {
  const { grouped, distributions, ranked, groupBy, quantiles, steps } = p;
  const texts = (r: number): string[] => grouped.groups.texts(ranked[r]!);
  const shown = (distribution: Distribution) => ({
    count: int64(countOf(distribution)),
    quantiles: quantiles.map((q) => quantileOf(q, distribution)).filter((q) => q !== undefined),
    buckets: distribution.map(bucketMessage),
  });
  const rowOf = ({ whole, steps: bySteps }: Distributed, sum: bigint): HistogramRow => ({
    labels: {},
    ...shown(whole),
    sum: int64(sum),
    points: steps
      ? bySteps.map((distribution, s) => ({
          time: timestamp(steps.fromMs + s * steps.lengthMs),
          ...shown(distribution),
        }))
      : [],
    hosts: 0,
    errorBound: '0',
    ratePerSecond: p.seconds > 0 ? Number(countOf(whole)) / p.seconds : 0,
  });
  const overallSum = ranked.reduce((n, g) => n + grouped.sums.at(g), p.pendingSum);
  const overallRow = rowOf(distributions.overall, overallSum);
  const overall = { ...overallRow, hosts: p.hosts, errorBound: int64(p.missing) };
  return {
    count: ranked.length,
    page(first, wanted, next) {
      const last = fitPage(first, Math.min(wanted, ranked.length), (r) => {
        const buckets = distributions.of(ranked[r]!).whole.length;
        // A step has at most the buckets of the whole.
        const rows = 1 + (steps?.count ?? 0);
        return 128 + rows * (24 + quantiles.length * 40 + buckets * 34) + textBytes(groupBy) + textBytes(texts(r));
      });
      let residual = p.total;
      for (let r = 0; r < last; r++) residual -= grouped.totals.at(ranked[r]!);
      const rows = ranked.slice(first, last).map((g, i) => ({
        ...rowOf(distributions.of(g), grouped.sums.at(g)),
        labels: labelsOf(groupBy, texts(first + i)),
        hosts: grouped.hostCounts[g]!,
        errorBound: int64(p.bounds[first + i]!),
      }));
      return {
        ...p.rest,
        rows,
        overall,
        nextPageToken: last < ranked.length ? next(last) : '',
        total: int64(p.total),
        residual: int64(residual),
      };
    },
  };
}

const countOf = (distribution: Distribution): bigint => distribution.reduce((n, [, c]) => n + c, 0n);
const bucketMessage = ([b, c]: Distribution[number]): Bucket => ({
  lower: int64(bucketLower(b)),
  upper: int64(bucketUpper(b)),
  count: int64(c),
});

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
