/**
 * Adds up a metric's rows over hosts and time: select → group → sum. Row 0 (overflow) has lost its labels: it is kept
 * apart, by host, and so are the rows that heavy hitters' small keys share. A generator: it yields every few thousand rows, so that the driver can answer others, and stop when
 * the caller has gone.
 *
 *   cell = group × step (ranges) × bucket (histograms); sums are three limbs, exact.
 */
import type { Fleet, FleetHost } from '../checkpoint/fleet.ts';
import { Cells, type Grouped } from './grouped.ts';
import { Groups } from './groups.ts';
import { addSampled, isNothing, nothingSampled, pendingOf, type Sampled } from '../../shared/algebra/sampling.ts';
import { toBigInt } from '../../shared/algebra/limbs.ts';
import { accountOf } from './ledger.ts';
import type { Metric } from './metric.ts';
import { type Place, Places, unknown } from './placing.ts';
import type { TimeRange } from './range.ts';
import { reject, type Rejection } from './rejection.ts';
import { admitRows } from './scan-cost.ts';
import type { Selection } from './select.ts';
import { dividedBy, isFine, stepAt, undividedOf, type Steps } from './steps.ts';
import { Sums } from './sums.ts';

export const scanLimits = { groups: 200_000, cells: 4_000_000, rowsPerYield: 65_536 } as const;

export interface ScanRequest {
  readonly fleet: Fleet;
  readonly metric: Metric;
  readonly selection: Selection;
  readonly groupBy: readonly string[];
  readonly time: TimeRange;
  /** True when the grouping has labels of hosts alone: then overflow belongs to its host's group. */
  readonly overflowGrouped: boolean;
  /** True to keep a histogram's buckets, or a distinct count's pairs, apart. */
  readonly byBucket?: boolean;
  /** Splits time; absent: one step. */
  readonly steps?: Steps | undefined;
}

/** One host's account of what was scanned. */
export interface HostScan {
  readonly host: FleetHost;
  /** Overflow row, in the time scanned. */
  overflow: bigint;
  /** Heavy hitters' shared rows, by cell, in the time scanned. */
  readonly shared: Map<number, bigint>;
  /** All rows, overflow included. */
  counted: bigint;
  /** Windows only: ledger increments. */
  seen: bigint;
  failed: bigint;
  skipped: bigint;
  /** What was sampled in the time scanned. */
  sampled: Sampled;
  /** Where steps are shorter than a window: what could not be told by second. */
  undivided: bigint;
  /** Earliest start of an interval that was counted, Unix ms; Infinity when there is none. */
  fromMs: number;
}

export interface Scan {
  readonly grouped: Grouped;
  readonly hosts: readonly HostScan[];
  /** What has no labels, overflow and shared rows, by step. */
  readonly unlabelledBySteps: Sums;
  /** What was sampled and is in no row, by step; may be negative. */
  readonly pendingBySteps: readonly bigint[];
  /** By group: Σ (weight - 1) × value over what may have been sampled (algebra/sampling.ts); empty where nothing was. */
  readonly variances: readonly number[];
}

/** What one unit adds to the variance of its row. */
const spreadOf = (s: Sampled): number => (s.given > 0n ? Number(s.weightMax) - 1 : 0);

const tooManyCells = (found: number): Rejection => ({
  kind: 'too-large',
  what: 'cells (groups × buckets × steps)',
  found,
  limit: scanLimits.cells,
  fix: 'group by fewer labels, or ask for a longer step',
});

/** What a scan works with; blocks of rows are added to it one after the other. */
interface Scanning {
  readonly request: ScanRequest;
  readonly places: Places;
  readonly heavy: boolean;
  readonly histogram: boolean;
  readonly celled: boolean;
  readonly totals: Sums;
  readonly sums: Sums;
  readonly counts: Sums;
  readonly cells: Cells;
  readonly unlabelledBySteps: Sums;
  readonly groupCells: Map<number, number>;
  readonly variances: number[];
  /** In no row, as labels were sampled: by step, and where overflow has a group by group and step. */
  readonly pendingBySteps: bigint[];
  readonly pendingOfGroups: { readonly group: number; readonly step: number; readonly pending: bigint }[];
  hostCounts: Uint32Array;
  /** By group: the host that added to it last. */
  lastHost: Int32Array;
}

interface Block {
  readonly count: number;
  readonly series: Uint32Array;
  readonly values: Uint32Array;
}

/** Rejects what would be too large, before the first row where that can be known. */
export function* scan(request: ScanRequest): Generator<void, Scan> {
  admitRows(request);
  const { fleet, metric, selection, groupBy, time, steps } = request;
  const stepCount = steps?.count ?? 1;
  const groups = new Groups(fleet.dictionary, Math.min(scanLimits.groups, Math.floor(scanLimits.cells / stepCount)));
  const scanning: Scanning = {
    request,
    places: new Places(fleet, metric, selection, groupBy, groups, request.byBucket === true),
    heavy: metric.schema.kind === 'heavy',
    histogram: metric.schema.kind === 'histogram',
    celled: request.byBucket === true || stepCount > 1,
    totals: new Sums(),
    sums: new Sums(),
    counts: new Sums(),
    cells: new Cells(stepCount),
    unlabelledBySteps: new Sums(),
    groupCells: new Map(),
    variances: [],
    pendingBySteps: new Array<bigint>(stepCount).fill(0n),
    pendingOfGroups: [],
    hostCounts: new Uint32Array(256),
    lastHost: new Int32Array(256).fill(-1),
  };
  const hosts: HostScan[] = [];
  let sinceYield = 0;

  for (const host of selection.hosts) {
    const account: HostScan = {
      host,
      overflow: 0n,
      shared: new Map(),
      counted: 0n,
      seen: 0n,
      failed: 0n,
      skipped: 0n,
      sampled: nothingSampled,
      undivided: 0n,
      fromMs: Infinity,
    };
    hosts.push(account);
    for (const table of metric.hosts.get(host.name)!) {
      const place = scanning.places.of(table, host);
      if (time.kind === 'all') {
        const { sampled } = accountOf(host, table);
        addPending(scanning, hosts.length - 1, account, place, sampled, 0);
        for (const { values } of [...table.bases, ...table.lasts]) {
          addBlock(scanning, hosts.length - 1, account, place, values, 0, spreadOf(sampled));
          sinceYield += values.count;
          if (sinceYield > scanLimits.rowsPerYield) yield void (sinceYield = 0);
        }
        continue;
      }
      for (const { startMs, values } of table.windows) {
        if (startMs < time.fromMs || startMs >= time.toMs) continue;
        const { increments, sampled = nothingSampled } = values;
        addPending(scanning, hosts.length - 1, account, place, sampled, steps ? stepAt(steps, startMs) : 0);
        for (const { step, block } of dividedBy(steps, startMs, table, increments))
          addBlock(scanning, hosts.length - 1, account, place, block, step, spreadOf(sampled));
        if (steps && isFine(steps)) account.undivided += undividedOf(table, values);
        account.seen += values.seen;
        account.failed += values.failed;
        account.skipped += values.skipped;
        account.fromMs = Math.min(account.fromMs, values.fromMs);
        sinceYield += values.increments.count;
        if (sinceYield > scanLimits.rowsPerYield) yield void (sinceYield = 0);
      }
    }
  }
  const { totals, sums, hostCounts, groupCells, cells, counts, unlabelledBySteps } = scanning;
  // Rows of a host are one sum again: what waits for a block's end, or is given ahead of it, is added last.
  for (const { group, step, pending } of scanning.pendingOfGroups) {
    totals.addBig(group, pending);
    if (stepCount > 1) counts.addBig(cells.reach(group, step, 0), pending);
  }
  const buckets = [...scanning.places.columns.keys()];
  return {
    grouped: { groups, totals, sums, hostCounts, buckets, groupCells, cells, counts },
    hosts,
    unlabelledBySteps,
    pendingBySteps: scanning.pendingBySteps,
    variances: scanning.variances,
  };
}

/** What is in no row belongs to its host, where overflow does. */
function addPending(s: Scanning, host: number, account: HostScan, place: Place, sampled: Sampled, step: number): void {
  if (isNothing(sampled)) return;
  const pending = pendingOf(sampled);
  s.pendingBySteps[step]! += pending;
  account.sampled = addSampled(account.sampled, sampled);
  if (!s.request.overflowGrouped) return;
  const group = s.places.unlabelled(place);
  s.pendingOfGroups.push({ group, step, pending });
  countHost(s, group, host);
}

/** Adds a block of one host's rows. Most rows are one look-up by series, one by inner number, and one addition. */
function addBlock(
  s: Scanning,
  host: number,
  account: HostScan,
  place: Place,
  block: Block,
  step: number,
  spread: number,
): void {
  const { count, series, values } = block;
  const { totals, heavy, histogram, celled } = s;
  const { inner } = place.labelled;
  const { groups } = place;
  const { blank } = s.places;
  // A block has at most 2^20 rows: these sums of its limbs are exact.
  let low = 0;
  let high = 0;
  for (let r = 0, at = 0; r < count; r++, at += 2) {
    const valueLow = values[at]!;
    const valueHigh = values[at + 1]!;
    if (valueLow === 0 && valueHigh === 0) continue;
    low += valueLow;
    high += valueHigh;
    const id = series[r]!;
    const cell = heavy && id !== 0 ? place.labelled.cell(id) : undefined;
    let group: number;
    if (id === 0 || cell?.shared === true) {
      if (id === 0) account.overflow += toBigInt(values, at);
      else account.shared.set(cell!.cell, (account.shared.get(cell!.cell) ?? 0n) + toBigInt(values, at));
      s.unlabelledBySteps.add(step, values, at);
      if (!s.request.overflowGrouped) continue;
      group = s.places.unlabelled(place);
    } else {
      const number = id < inner.length ? inner[id]! : blank;
      if (number < 0) continue;
      group = groups[number]!;
      if (group === unknown) group = s.places.resolve(place, number);
    }
    totals.add(group, values, at);
    if (spread > 0) s.variances[group] = (s.variances[group] ?? 0) + spread * (valueLow + valueHigh * 2 ** 32);
    countHost(s, group, host);
    if (histogram) s.sums.add(group, values, (count + r) * 2);
    if (cell) s.groupCells.set(group, (s.groupCells.get(group) ?? cell.cell) === cell.cell ? cell.cell : -1);
    if (celled) addCell(s, group, step, place, id, values, at);
  }
  account.counted += (BigInt(high) << 32n) + BigInt(low);
}

function addCell(
  s: Scanning,
  group: number,
  step: number,
  { labelled }: Place,
  series: number,
  values: Uint32Array,
  at: number,
): void {
  const column = s.request.byBucket ? labelled.column(series, s.places.columns) : 0;
  const c = s.cells.reach(group, step, column);
  if (c >= scanLimits.cells) reject(tooManyCells(c + 1));
  s.counts.add(c, values, at);
}

function countHost(s: Scanning, group: number, host: number): void {
  if (group >= s.hostCounts.length) growHosts(s, group);
  if (s.lastHost[group] === host) return;
  s.lastHost[group] = host;
  s.hostCounts[group]!++;
}

function growHosts(s: Scanning, group: number): void {
  const [counted, before] = [s.hostCounts, s.lastHost];
  s.hostCounts = new Uint32Array(group * 2);
  s.hostCounts.set(counted);
  s.lastHost = new Int32Array(group * 2).fill(-1);
  s.lastHost.set(before);
}
