/**
 * How many series are taken: by host, and by partition, which takes its part of what the fleet may have. A row whose
 * labels are new beyond that joins series 0, the overflow: what it counts stays in every total and loses its labels,
 * and the checkpoint says how many rows that concerns. A filter's words are bounded by its size, and are not limited.
 */
import type { SeriesIndex } from '../../shared/algebra/series-index.ts';
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

/** Series of a table, the overflow's excluded. */
const seriesOf = ({ index }: { readonly index: SeriesIndex }): number => index.size - 1;

const seriesOn = (host: HostState): number => [...host.tables.values()].reduce((n, table) => n + seriesOf(table), 0);

/** Counted anew now and then, for hosts come and go: call after restoring, and when what changed was written. */
export function countSeries(state: MergeState): void {
  state.series = 0;
  for (const host of state.hosts.values()) state.series += seriesOn(host);
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
  const bounded = schema.kind !== 'filter';
  let room = bounded ? Math.min(perHost - seriesOn(host), perPartition - state.series) : Infinity;
  for (const { id, labels } of columns.definitions) {
    if (id <= 0 || rows.isDefined(id)) continue;
    const before = table.index.size;
    const series = table.index.intern(labels, room > 0);
    if (table.index.size > before) {
      room--;
      state.series++;
    }
    rows.define(id, series);
    fresh.add(id);
    if (series === 0) limit(host, table, perHost, effects);
  }
  return fresh;
}

function limit(host: HostState, table: TableState, perHost: number, effects: MergeEffect[]): void {
  if (table.limitedRows++ > 0n) return;
  effects.push({
    kind: 'log',
    level: 'warn',
    fields: { host: host.host, table: table.key, series: seriesOn(host), perHost },
    message: 'as many series as are taken: new labels join the overflow (--series-per-host, --series)',
  });
}
