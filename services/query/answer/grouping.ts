/** What Query, QueryRange and QueryHistogram have in common: metric, selection, grouping, error bounds, labels, notes. */
import type { Fleet } from '../checkpoint/fleet.ts';
import { isNothing, samplingBound } from '../../shared/algebra/sampling.ts';
import { sharedOf, type Covered } from './coverage.ts';
import { hostLabel, type Metric } from './metric.ts';
import { reject } from './rejection.ts';
import type { HostScan, Scan } from './scan.ts';
import { checkLabel, isRowLabel, select, type Selection } from './select.ts';

export interface Question {
  readonly metric: Metric;
  readonly selection: Selection;
  readonly groupBy: readonly string[];
}

const groupByMax = 16;

/** Checks selector and grouping; an empty grouping means all labels of the metric. */
export function ask(fleet: Fleet, metric: Metric, selector: string, groupBy: readonly string[]): Question {
  if (groupBy.length > groupByMax)
    reject({ kind: 'bad-field', field: 'group_by', problem: `more than ${groupByMax} labels`, fix: 'group by fewer' });
  for (const label of groupBy) checkLabel(fleet, label, metric.labels, 'group_by');
  return {
    metric,
    selection: select(fleet, metric, selector),
    groupBy: groupBy.length > 0 ? [...new Set(groupBy)] : metric.labels,
  };
}

/**
 * How much more each group could be: what hosts that fit the group's host labels lost the labels of. Zero where no label
 * of the metric was asked for: then overflow is attributed like everything else.
 */
export function errorBounds(
  q: Question,
  scan: Scan,
  covered: Covered,
  hidden = hidesOverflow(q),
): (group: number) => bigint {
  const at = q.groupBy.map((label, i) => ({ label, i })).filter(({ label }) => !isRowLabel(q.metric, label));
  const byKey = new Map<string, { missing: bigint; hosts: HostScan[] }>();
  scan.hosts.forEach((scanned, h) => {
    const key = JSON.stringify(at.map(({ label }) => hostLabel(scanned.host, label)));
    const missing = covered.missing[h]! - (hidden ? 0n : scanned.overflow);
    const of = byKey.get(key) ?? { missing: 0n, hosts: [] };
    byKey.set(key, of);
    of.missing += missing;
    if (hidden && scanned.shared.size > 0) of.hosts.push(scanned);
  });
  const sampledOf = hidden ? sampledBounds(scan) : () => 0n;
  // All labels of the metric make one key, whose cell is known; fewer may join keys of any cell.
  const oneKey = q.metric.labels.every((label) => q.groupBy.includes(label));
  return (group) => {
    const { labels, dictionary } = scan.grouped.groups;
    const of = byKey.get(JSON.stringify(at.map(({ i }) => dictionary.text(labels[group]![i]!))));
    if (!of) return 0n;
    // Without a label of the metric nothing is misplaced by sampling either.
    const sampled = sampledOf(scan.variances[group] ?? 0);
    const cell = oneKey ? (scan.grouped.groupCells.get(group) ?? -1) : -1;
    return of.hosts.reduce((n, h) => n + (cell < 0 ? sharedOf(h) : (h.shared.get(cell) ?? 0n)), of.missing + sampled);
  };
}

/**
 * How far picks of a variance may be off: by what a group's values say, but never by more than all that rows were given for
 * picks on the hosts together. One weight bounds the error of all.
 */
function sampledBounds(scan: Scan): (variance: number) => bigint {
  let [given, weightMax] = [0, 1];
  for (const { sampled } of scan.hosts) {
    if (isNothing(sampled)) continue;
    given += Number(sampled.given) * (Number(sampled.weightMax) - 1);
    weightMax = Math.max(weightMax, Number(sampled.weightMax));
  }
  return (variance) => BigInt(samplingBound(Math.min(variance, given), weightMax));
}

/** How far the sum of the groups may be off, where the selector asks for labels of the metric; else nothing is missing. */
export const selectedBound = (q: Question, scan: Scan): bigint =>
  q.selection.rowMatchers.length === 0 ? 0n : sampledBounds(scan)(scan.variances.reduce((n, v) => n + (v ?? 0), 0));

/** True when rows that lost their labels cannot be in the right group. */
export const hidesOverflow = (q: Question): boolean =>
  q.selection.rowMatchers.length > 0 || q.groupBy.some((label) => isRowLabel(q.metric, label));

export function labelsOf(groupBy: readonly string[], texts: readonly string[]): Record<string, string> {
  // No prototype: a label may be called anything.
  const labels: Record<string, string> = Object.create(null) as Record<string, string>;
  groupBy.forEach((label, i) => (labels[label] = texts[i]!));
  return labels;
}

/** What has no labels and the total includes: all of it, unless the selector asks for a label that it has lost. */
export const totalUnlabelled = (q: Question, covered: Covered): bigint =>
  q.selection.rowMatchers.length > 0 ? 0n : covered.overflow + covered.shared + covered.pending;

/** How much more the total could be. */
export const totalBound = (q: Question, scan: Scan, covered: Covered): bigint =>
  covered.missing.reduce((n, m) => n + m, covered.shared) -
  (q.selection.rowMatchers.length > 0 ? 0n : covered.overflow + covered.shared) +
  selectedBound(q, scan);
