/**
 * How many series are taken: by host, and by partition, which takes its part of what the fleet may have. A row whose
 * labels are new beyond that joins series 0, the overflow: what it counts stays in every total and loses its labels,
 * and the checkpoint says how many rows that concerns. A filter's words are bounded by its size, and are not limited.
 *
 * A sixteenth is for the accounts of the probe `muster` alone, which may use what is free beside it too: labels that
 * flood a host do not hide what they cost.
 */
import { accountsProbe } from '../../shared/contract/accounts.ts';
import type { RowTable } from '../../shared/algebra/row-table.ts';
import type { Columns } from '../../shared/contract/columns.ts';
import type { TableSchema } from '../../shared/contract/lineage.ts';
import { partitionCount } from '../../shared/contract/subjects.ts';
import type { HostState, MergeEffect, MergeState, TableState } from './state.ts';

export interface SeriesLimits {
  readonly perHost: number;
  readonly perPartition: number;
}

export const noLimits: SeriesLimits = { perHost: Infinity, perPartition: Infinity };

export const seriesLimits = (perHost: number, fleet: number): SeriesLimits => ({
  perHost,
  perPartition: Math.ceil(fleet / partitionCount),
});

/** Of other tables than the accounts'. */
const othersMax = (limit: number): number => Math.ceil((limit * 15) / 16);

/** Series: those of the accounts, and all others. */
export interface SeriesCount {
  accounts: number;
  others: number;
}

const kindOf = ({ probe }: TableState): keyof SeriesCount => (probe === accountsProbe ? 'accounts' : 'others');

function addSeries(host: HostState, to: SeriesCount): SeriesCount {
  // The overflow is none.
  for (const table of host.tables.values()) to[kindOf(table)] += table.index.size - 1;
  return to;
}

/** Counted anew now and then, for hosts come and go: call after restoring, and when what changed was written. */
export function countSeries(state: MergeState): void {
  state.series = { accounts: 0, others: 0 };
  for (const host of state.hosts.values()) addSeries(host, state.series);
}

function roomFor(table: TableState, limit: number, taken: SeriesCount): number {
  const free = limit - taken.accounts - taken.others;
  return kindOf(table) === 'accounts' ? free : Math.min(free, othersMax(limit) - taken.others);
}

/** Gives rows their series. Returns the rows that had none. */
export function define(
  state: MergeState,
  host: HostState,
  table: TableState,
  schema: TableSchema,
  rows: RowTable,
  columns: Columns,
  effects: MergeEffect[],
): Set<number> {
  const fresh = new Set<number>();
  if (columns.definitions.length === 0) return fresh;
  const { perHost, perPartition } = state.limits;
  const taken = addSeries(host, { accounts: 0, others: 0 });
  let room =
    schema.kind === 'filter'
      ? Infinity
      : Math.min(roomFor(table, perHost, taken), roomFor(table, perPartition, state.series));
  for (const { id, labels } of columns.definitions) {
    if (id <= 0 || rows.isDefined(id)) continue;
    const before = table.index.size;
    const series = table.index.intern(labels, room > 0);
    if (table.index.size > before) {
      room--;
      state.series[kindOf(table)]++;
    }
    rows.define(id, series);
    fresh.add(id);
    if (series === 0) limit(host, table, perHost, effects);
  }
  return fresh;
}

function limit(host: HostState, table: TableState, perHost: number, effects: MergeEffect[]): void {
  if (table.limitedRows++ > 0n) return;
  const { accounts, others } = addSeries(host, { accounts: 0, others: 0 });
  effects.push({
    kind: 'log',
    level: 'warn',
    fields: { host: host.host, table: table.key, series: accounts + others, perHost },
    message: 'as many series as are taken: new labels join the overflow (--series-per-host, --series)',
  });
}
