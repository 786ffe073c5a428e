/**
 * QueryService/QueryStacks: stacks merged over hosts, in one of three forms, perhaps beside a baseline. Stacks shown +
 * residual = total, always; a tree and a profile have one page and show the residual as one function more.
 */
import type { Fleet } from '../checkpoint/fleet.ts';
import type { QueryStacksRequest, QueryStacksResponse, StackRow, StacksBaseline } from '../../shared/contract/query.ts';
import { encodeProfile } from '../../shared/contract/profile.ts';
import { replyBytesMax } from '../../shared/contract/query.ts';
import { nearest } from '../../shared/runtime/settings.ts';
import { labelsOf } from './grouping.ts';
import { findMetric, metricsOf, stackLabel, unitOf } from './metric.ts';
import { nothing } from './nothing.ts';
import { fitPage, replyReserve, textBytes, type PageLimits, type Prepared } from './page.ts';
import { earlier, fallbackRange, resolveRange, type TimeRange } from './range.ts';
import { parseOrder } from './rank.ts';
import { reject } from './rejection.ts';
import { StackProfile } from './stack-profile.ts';
import { countSide, joinSides, type Side, type Stack } from './stack-sides.ts';
import { notShown, StackTree } from './stack-tree.ts';
import { int64, int64Max } from './sums.ts';

const formats = ['folded', 'tree', 'pprof'] as const;
type Format = (typeof formats)[number];

const pageMax = 10_000;
/** A tree or a profile is wanted whole. */
export const stacksPage = ({ format }: QueryStacksRequest): PageLimits => ({
  fallback: format === '' || format === 'folded' ? 100 : pageMax,
  max: pageMax,
});

const noStacks =
  'no host counts by stack: load a probe that does, e.g. `muster load cpu_profile`, then ask again; FleetService/ListMetrics shows what there is';

/** The request's time, and the baseline's. Rejects what is no time. */
export function timesOf(request: QueryStacksRequest, nowMs: number): { time: TimeRange; base: TimeRange | undefined } {
  const time = resolveRange(request, fallbackRange('QueryStacks'), nowMs);
  return { time, base: request.baseline ? baselineTime(request.baseline, time, nowMs) : undefined };
}

function baselineTime(base: StacksBaseline, time: TimeRange, nowMs: number): TimeRange {
  const ownTime = base.range !== '' || !!base.startTime || !!base.endTime;
  if (base.offset !== '') {
    const both = { problem: 'given together with a time of its own', fix: 'give one of them' };
    if (ownTime) reject({ kind: 'bad-field', field: 'baseline.offset', ...both });
    return earlier(time, base.offset, nowMs, 'baseline.offset');
  }
  if (ownTime) return resolveRange(base, '', nowMs, 'baseline.');
  if (base.selector === '')
    reject({
      kind: 'bad-field',
      field: 'baseline',
      problem: 'it says nothing, and would be the question itself',
      fix: 'give it an offset such as "10m", a selector, a range or a start_time',
    });
  return time;
}

function formatOf(text: string): Format {
  const format = formats.find((f) => f === (text || 'folded'));
  if (format !== undefined) return format;
  const near = nearest(text, formats);
  const fix = near ? `did you mean "${near}"?` : `it is one of ${formats.join(', ')}`;
  return reject({ kind: 'bad-field', field: 'format', problem: `${JSON.stringify(text)} is no format`, fix });
}

export function* prepareStacks(
  request: QueryStacksRequest,
  fleet: Fleet,
  nowMs: number,
): Generator<void, Prepared<'QueryStacks'>> {
  const times = timesOf(request, nowMs);
  const format = formatOf(request.format);
  const metric = findMetric(metricsOf(fleet), request.metric, 'stacks');
  if (!metric) {
    const noBaseline = { baselineTotal: undefined, baselineResidual: undefined, baselineCoverage: undefined };
    const none = { rows: [], nodes: [], pprof: Buffer.alloc(0), total: '0', residual: '0', totalErrorBound: '0' };
    return nothing({ ...none, ...noBaseline }, fleet, noStacks);
  }
  const stack = stackLabel(metric)!;
  const labels = [...new Set(request.groupBy)].filter((label) => label !== stack);
  const groupBy = [...labels, stack];
  const { baseline } = request;
  const order = parseOrder(request.orderBy || (baseline ? 'difference desc' : ''), groupBy, ['difference']);
  const now = yield* countSide(fleet, metric, request.selector, groupBy, times.time, nowMs);
  const base =
    baseline && times.base
      ? yield* countSide(fleet, metric, baseline.selector || request.selector, groupBy, times.base, nowMs)
      : undefined;
  const stacks = yield* joinSides(now, base, order, groupBy);
  return stackPages({
    format,
    metric: metric.name,
    unit: unitOf(metric.schema),
    labels,
    now: accountOf(now),
    base: base && accountOf(base),
    stacks,
  });
}

type Account = Omit<Side, 'stacks'>;
const accountOf = ({ covered, total, totalErrorBound, exact }: Side): Account => ({
  covered,
  total,
  totalErrorBound,
  exact,
});

interface Parts {
  readonly format: Format;
  readonly metric: string;
  readonly unit: string;
  /** Labels of the grouping, the stack's left out. */
  readonly labels: readonly string[];
  readonly now: Account;
  readonly base: Account | undefined;
  readonly stacks: readonly Stack[];
}

/** What the first `count` stacks leave of the totals. */
function restOf({ now, base, stacks }: Parts, count: number): { value: bigint; base: bigint | undefined } {
  let value = now.total;
  let rest = base?.total;
  for (let r = 0; r < count; r++) {
    value -= stacks[r]!.value;
    if (rest !== undefined) rest -= stacks[r]!.base ?? 0n;
  }
  return { value, base: rest };
}

function notesOf({ now, base, stacks }: Parts): string[] {
  const notes = [...now.covered.notes];
  for (const note of base?.covered.notes ?? []) if (!notes.includes(note)) notes.push(`baseline: ${note}`);
  const [seconds, before] = [now.covered.seconds, base?.covered.seconds];
  if (before !== undefined && Math.abs(seconds - before) > 0.05 * Math.max(seconds, before))
    notes.push(`the baseline covers ${before} s, the rest ${seconds} s: compare rates`);
  const above = stacks.filter((s) => s.value > int64Max || (s.base ?? 0n) > int64Max).length;
  if (above > 0 || now.total > int64Max)
    notes.push(`${above} values and a total of ${now.total} do not fit int64: what is above is shown as ${int64Max}`);
  return notes;
}

/** Cuts pages; a function of its own, so that a kept answer holds its parts and not the fleet. */
function stackPages(p: Parts): Prepared<'QueryStacks'> {
  const { format, stacks, now, base, metric, unit } = p;
  const notes = notesOf(p);
  return {
    count: stacks.length,
    page(first, wanted, next) {
      const end = Math.min(wanted, stacks.length);
      const shown =
        format === 'folded' ? folded(p, first, end) : format === 'tree' ? tree(p, end) : profile(p, end, notes);
      const rest = restOf(p, shown.last);
      const more = shown.last < stacks.length;
      return {
        rows: shown.rows ?? [],
        nodes: shown.nodes ?? [],
        pprof: Buffer.from(shown.pprof ?? []),
        nextPageToken: more && format === 'folded' ? next(shown.last) : '',
        total: int64(now.total),
        residual: int64(rest.value),
        totalErrorBound: int64(now.totalErrorBound),
        ...(base ? { baselineTotal: int64(base.total), baselineResidual: int64(rest.base ?? 0n) } : {}),
        unit,
        coverage: { ...now.covered.coverage, exact: now.exact },
        baselineCoverage: base && { ...base.covered.coverage, exact: base.exact },
        notes:
          more && format !== 'folded'
            ? [...notes, `${stacks.length - shown.last} of ${stacks.length} stacks are in ${notShown}`]
            : notes,
        metric,
      };
    },
  };
}

type Shown = { readonly last: number } & Partial<Pick<QueryStacksResponse, 'rows' | 'nodes'>> & {
    readonly pprof?: Uint8Array;
  };

const rate = (value: bigint, side: Account): number =>
  side.covered.seconds > 0 ? Number(value) / side.covered.seconds : 0;

function folded({ stacks, labels, now, base }: Parts, first: number, end: number): Shown {
  const last = fitPage(first, end, (r) => 128 + textBytes(labels) + textBytes(stacks[r]!.texts));
  const rows = stacks.slice(first, last).map((s): StackRow => {
    const before = s.base ?? 0n;
    return {
      stack: s.texts.at(-1)!,
      labels: labelsOf(labels, s.texts),
      value: int64(s.value),
      ratePerSecond: rate(s.value, now),
      hosts: s.hosts,
      errorBound: int64(s.errorBound),
      ...(base
        ? {
            baselineValue: int64(before),
            baselineRatePerSecond: rate(before, base),
            difference: int64(s.value - before),
          }
        : {}),
    };
  });
  return { last, rows };
}

const framesOf = (s: Stack): string[] => s.texts.at(-1)!.split(';');

/** The first stack that finds no room, or `end`. */
function fill(stacks: readonly Stack[], end: number, bytesFor: (s: Stack) => number, add: (s: Stack) => void): number {
  let room = replyBytesMax - replyReserve;
  for (let r = 0; r < end; r++) {
    room -= bytesFor(stacks[r]!);
    if (room < 0) return r;
    add(stacks[r]!);
  }
  return end;
}

function tree(p: Parts, end: number): Shown {
  const made = new StackTree();
  const pathOf = (s: Stack): string[] => [...s.texts.slice(0, -1), ...framesOf(s)];
  const last = fill(
    p.stacks,
    end,
    (s) => made.bytesFor(pathOf(s)),
    (s) => made.add(pathOf(s), s),
  );
  const rest = restOf(p, last);
  // Below zero where picks gave rows more than was counted by then.
  if (rest.value !== 0n || (rest.base ?? 0n) !== 0n) made.add([notShown], rest);
  return { last, nodes: made.nodes(p.base !== undefined) };
}

function profile(p: Parts, end: number, notes: readonly string[]): Shown {
  const made = new StackProfile();
  const said = (s: Stack) => p.labels.map((label, i) => [label, s.texts[i]!] as const);
  const last = fill(
    p.stacks,
    end,
    (s) => made.bytesFor(framesOf(s), said(s)),
    (s) => made.add(framesOf(s), said(s), s),
  );
  const { startMs, seconds } = p.now.covered;
  const of = { metric: p.metric, unit: p.unit, startMs, seconds, notes };
  return { last, pprof: encodeProfile(made.finish(of, restOf(p, last))) };
}
