/**
 * What QueryStacks compares: one scan, and with a baseline a second one over the same metric and grouping, joined by
 * groups.
 */
import type { Fleet } from '../checkpoint/fleet.ts';
import { cover, type Covered } from './coverage.ts';
import { ask, errorBounds, totalBound, totalUnlabelled } from './grouping.ts';
import type { Metric } from './metric.ts';
import type { TimeRange } from './range.ts';
import type { Order } from './rank.ts';
import { scan } from './scan.ts';
import { sorted } from './sorted.ts';

export interface Side {
  readonly covered: Covered;
  readonly total: bigint;
  readonly totalErrorBound: bigint;
  readonly exact: boolean;
  readonly stacks: readonly Counted[];
}

/** One group of a side. Texts are those of the grouping, the stack last. */
interface Counted {
  /** Its label numbers: both sides are of one dictionary. */
  readonly key: string;
  readonly texts: readonly string[];
  readonly value: bigint;
  readonly hosts: number;
  readonly errorBound: bigint;
}

/** One group of both; `base` is undefined without a baseline. */
export interface Stack extends Counted {
  readonly base: bigint | undefined;
}

const groupsPerYield = 4096;

export function* countSide(
  fleet: Fleet,
  metric: Metric,
  selector: string,
  groupBy: readonly string[],
  time: TimeRange,
  nowMs: number,
): Generator<void, Side> {
  const q = ask(fleet, metric, selector, groupBy);
  const result = yield* scan({ fleet, metric, selection: q.selection, groupBy, time, overflowGrouped: false });
  const { groups, totals, hostCounts } = result.grouped;
  const covered = cover(fleet, metric, result.hosts, time, nowMs);
  const boundOf = errorBounds(q, result, covered);
  const stacks: Counted[] = [];
  let total = totalUnlabelled(q, covered);
  for (let g = 0; g < groups.labels.length; g++) {
    if (g % groupsPerYield === groupsPerYield - 1) yield;
    if (totals.isZero(g)) continue;
    const value = totals.at(g);
    total += value;
    const key = groups.labels[g]!.join();
    stacks.push({ key, texts: groups.texts(g), value, hosts: hostCounts[g]!, errorBound: boundOf(g) });
  }
  const totalErrorBound = totalBound(q, result, covered);
  const exact = covered.coverage.exact && totalErrorBound === 0n && stacks.every((s) => s.errorBound === 0n);
  return { covered, total, totalErrorBound, exact, stacks };
}

/** Every stack that either has, in order. */
export function* joinSides(
  now: Side,
  base: Side | undefined,
  order: Order,
  groupBy: readonly string[],
): Generator<void, Stack[]> {
  const joined = new Map<string, Stack>();
  let done = 0;
  for (const s of now.stacks) {
    if (++done % groupsPerYield === 0) yield;
    joined.set(s.key, { ...s, base: base && 0n });
  }
  for (const s of base?.stacks ?? []) {
    if (++done % groupsPerYield === 0) yield;
    joined.set(s.key, { ...(joined.get(s.key) ?? { ...s, value: 0n, hosts: 0, errorBound: 0n }), base: s.value });
  }
  const at = groupBy.indexOf(order.by);
  const sign = order.descending ? -1 : 1;
  return yield* sorted([...joined.values()], (a, b) => sign * compareBy(order.by, at, a, b) || byTexts(a, b));
}

const change = (s: Stack): bigint => {
  const difference = s.value - (s.base ?? 0n);
  return difference < 0n ? -difference : difference;
};
const compare = <T extends bigint | string | number>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

function compareBy(by: string, at: number, a: Stack, b: Stack): number {
  if (by === 'difference') return compare(change(a), change(b));
  if (by === 'hosts') return a.hosts - b.hosts;
  if (by === 'value' || by === 'rate') return compare(a.value, b.value);
  return compare(a.texts[at]!, b.texts[at]!);
}

function byTexts(a: Stack, b: Stack): number {
  for (let i = 0; i < a.texts.length; i++) if (a.texts[i] !== b.texts[i]) return compare(a.texts[i]!, b.texts[i]!);
  return 0;
}
