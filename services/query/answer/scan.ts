/**
 * Adds up a metric's rows over hosts and time: select → group → sum. Row 0 (overflow) has lost its labels: it is kept
 * apart, by host, and so are the rows that heavy hitters' small keys share. A generator: it yields every few thousand rows, so that the driver can answer others, and stop when
 * the caller has gone.
 *
 *   cell = group × step (ranges) × bucket (histograms); sums are three limbs, exact.
 */
import type { Fleet, FleetHost, HostTable } from '../checkpoint/fleet.ts';
import { Cells, type Grouped } from './grouped.ts';
import { Groups } from './groups.ts';
import { readCell } from '../../shared/algebra/heavy.ts';
import { toBigInt } from '../../shared/algebra/limbs.ts';
import { innerLabels } from '../../shared/contract/lineage.ts';
import { hostLabel, type Metric } from './metric.ts';
import type { TimeRange } from './range.ts';
import { reject, type Rejection } from './rejection.ts';
import { idTest, isRowLabel, type Selection } from './select.ts';
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
  readonly steps?: { readonly fromMs: number; readonly lengthMs: number; readonly count: number };
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
  /** Earliest start of an interval that was counted, Unix ms; Infinity when there is none. */
  fromMs: number;
}

export interface Scan {
  readonly grouped: Grouped;
  readonly hosts: readonly HostScan[];
  /** What has no labels, overflow and shared rows, by step. */
  readonly unlabelledBySteps: Sums;
}

/** Number of a group's row that is not selected, or not known yet. */
const unselected = -1;
const unknown = -2;

const tooManyCells = (found: number): Rejection => ({
  kind: 'too-large',
  what: 'cells (groups × buckets × steps)',
  found,
  limit: scanLimits.cells,
  fix: 'group by fewer labels, or ask for a longer step',
});

export function* scan(request: ScanRequest): Generator<void, Scan> {
  const { fleet, metric, selection, groupBy, time, steps } = request;
  const stepCount = steps?.count ?? 1;
  const groups = new Groups(fleet.dictionary, Math.min(scanLimits.groups, Math.floor(scanLimits.cells / stepCount)));
  const counts = new Sums();
  const sums = new Sums();
  const totals = new Sums();
  const unlabelledBySteps = new Sums();
  const heavy = metric.schema.kind === 'heavy';
  const groupCells = new Map<number, number>();
  const histogram = metric.schema.kind === 'histogram';
  const columns = new Map<number, number>();
  const cells = new Cells(stepCount);
  let hostCounts = new Uint32Array(256);
  let lastHost = new Int32Array(256).fill(-1);
  const tests = selection.rowMatchers.map((m) => ({ label: m.label, test: idTest(m, fleet.dictionary) }));
  const hosts: HostScan[] = [];
  let sinceYield = 0;

  for (const [hostIndex, host] of selection.hosts.entries()) {
    const account: HostScan = {
      host,
      overflow: 0n,
      shared: new Map(),
      counted: 0n,
      seen: 0n,
      failed: 0n,
      skipped: 0n,
      fromMs: Infinity,
    };
    hosts.push(account);
    const own = new Sums();
    for (const table of metric.hosts.get(host.name)!) {
      const place = placer(table, host);
      const add = (series: Uint32Array, values: Uint32Array, count: number, step: number): void => {
        for (let r = 0; r < count; r++) {
          const at = r * 2;
          if (values[at] === 0 && values[at + 1] === 0) continue;
          own.add(1, values, at);
          const cell = heavy && series[r] !== 0 ? place.cellOf(series[r]!) : undefined;
          const unlabelled = series[r] === 0 || cell?.shared === true;
          if (unlabelled) {
            if (series[r] === 0) own.add(0, values, at);
            else account.shared.set(cell!.cell, (account.shared.get(cell!.cell) ?? 0n) + toBigInt(values, at));
            unlabelledBySteps.add(step, values, at);
            if (!request.overflowGrouped) continue;
          }
          const group = unlabelled ? place.hostGroup() : place.groupOf(series[r]!);
          if (group === unselected) continue;
          if (cell) groupCells.set(group, (groupCells.get(group) ?? cell.cell) === cell.cell ? cell.cell : -1);
          totals.add(group, values, at);
          if (histogram) sums.add(group, values, (count + r) * 2);
          if (request.byBucket || stepCount > 1) {
            const c = cells.reach(group, step, request.byBucket ? place.bucketOf(series[r]!) : 0);
            if (c >= scanLimits.cells) reject(tooManyCells(c + 1));
            counts.add(c, values, at);
          }
          if (group >= hostCounts.length) {
            const [counted, before] = [hostCounts, lastHost];
            hostCounts = new Uint32Array(group * 2);
            hostCounts.set(counted);
            lastHost = new Int32Array(group * 2).fill(-1);
            lastHost.set(before);
          }
          if (lastHost[group] !== hostIndex) {
            lastHost[group] = hostIndex;
            hostCounts[group]!++;
          }
        }
        sinceYield += count;
      };
      if (time.kind === 'all') {
        for (const { values } of table.bases) {
          add(values.series, values.values, values.count, 0);
          if (sinceYield > scanLimits.rowsPerYield) yield void (sinceYield = 0);
        }
        for (const { values } of table.lasts) {
          add(values.series, values.values, values.count, 0);
          if (sinceYield > scanLimits.rowsPerYield) yield void (sinceYield = 0);
        }
        continue;
      }
      for (const { startMs, values } of table.windows) {
        if (startMs < time.fromMs || startMs >= time.toMs) continue;
        const step = steps
          ? Math.min(stepCount - 1, Math.max(0, Math.floor((startMs - steps.fromMs) / steps.lengthMs)))
          : 0;
        const { increments } = values;
        add(increments.series, increments.values, increments.count, step);
        account.seen += values.seen;
        account.failed += values.failed;
        account.skipped += values.skipped;
        account.fromMs = Math.min(account.fromMs, values.fromMs);
        if (sinceYield > scanLimits.rowsPerYield) yield void (sinceYield = 0);
      }
    }
    account.overflow = own.at(0);
    account.counted = own.at(1);
  }
  const buckets = [...columns.keys()];
  return {
    grouped: { groups, totals, sums, hostCounts, buckets, groupCells, cells, counts },
    hosts,
    unlabelledBySteps,
  };

  /** Group and bucket of a table's series, each worked out once. */
  function placer(
    table: HostTable,
    host: FleetHost,
  ): {
    groupOf(series: number): number;
    hostGroup(): number;
    bucketOf(series: number): number;
    cellOf(series: number): ReturnType<typeof readCell>;
  } {
    const names = table.schema.labels.map((l) => l.name);
    const inner = innerLabels[table.schema.kind];
    const innerAt = table.schema.labels.findIndex((l) => l.meaning === inner);
    const innerText = (series: number): string => {
      const page = pageOf(series);
      return fleet.dictionary.text(label(page, series - (pages[page]?.first ?? 0), innerAt));
    };
    const cellsRead = new Map<number, ReturnType<typeof readCell>>();
    const path = groupBy.map((label) =>
      isRowLabel(metric, label)
        ? { at: names.indexOf(label), id: 0 }
        : { at: -1, id: fleet.dictionary.intern(hostLabel(host, label)) },
    );
    const checks = tests.map(({ label, test }) => ({ at: names.indexOf(label), test }));
    const pages = [...table.pages].sort((a, b) => a.first - b.first);
    const made = pages.map((p) => new Int32Array(p.count).fill(unknown));
    const pageOf = (series: number): number => {
      let low = 0;
      let high = pages.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (pages[middle]!.first <= series) low = middle;
        else high = middle - 1;
      }
      return low;
    };
    const label = (page: number, i: number, at: number): number => pages[page]?.labels[at]?.[i] ?? 0;
    return {
      hostGroup: () =>
        groups.at(
          path.reduce((node, p) => groups.step(node, p.id), 0),
          () => path.map((p) => p.id),
        ),
      groupOf(series) {
        const page = pageOf(series);
        const i = series - (pages[page]?.first ?? 0);
        const known = made[page]?.[i] ?? unknown;
        if (known !== unknown) return known;
        let group = unselected;
        if (checks.every((c) => c.test(c.at < 0 ? 0 : label(page, i, c.at)))) {
          const ids = path.map((p) => (p.at < 0 ? p.id : label(page, i, p.at)));
          group = groups.at(
            ids.reduce((node, id) => groups.step(node, id), 0),
            () => ids,
          );
        }
        if (made[page] && i < made[page].length) made[page][i] = group;
        return group;
      },
      bucketOf(series) {
        const bucket = Number(innerText(series));
        let column = columns.get(bucket);
        if (column === undefined) columns.set(bucket, (column = columns.size));
        return column;
      },
      cellOf(series) {
        if (!cellsRead.has(series)) cellsRead.set(series, readCell(innerText(series)));
        return cellsRead.get(series);
      },
    };
  }
}
