/** `muster distinct`: how many different values, with their bounds. */
import type { DistinctRow, QueryDistinctResponse } from '../../shared/contract/query.ts';
import { coverageNotes, remarks } from '../output/coverage.ts';
import type { Table } from '../output/table.ts';
import { grouped } from '../output/units.ts';
import type { DataVerb } from '../output/verb.ts';
import { selection, selectionOptions } from './shared-options.ts';
import { labelNames } from './top.ts';

export const distinct: DataVerb<'QueryDistinct'> = {
  name: 'distinct',
  method: 'QueryDistinct',
  operands: ['[metric]'],
  options: selectionOptions,
  examples: ['muster distinct process_binaries', 'muster distinct process_binaries --group-by host --range all'],
  plan: selection,
  table: distinctTable,
};

const span = (row: DistinctRow): string => `${grouped(row.lower)}–${grouped(row.upper)}`;

export function distinctTable(answer: QueryDistinctResponse): Table {
  const { rows, unit, overall } = answer;
  const labels = labelNames(rows);
  const many = rows.some((row) => row.hosts > 1);
  return {
    columns: [
      ...labels.map((title) => ({ title })),
      { title: unit || 'values', right: true },
      { title: 'between', right: true },
      { title: 'observed', right: true },
      ...(many ? [{ title: 'hosts', right: true }] : []),
    ],
    rows: rows.map((row) => [
      ...labels.map((name) => row.labels[name] ?? ''),
      grouped(row.value),
      span(row),
      grouped(row.observations),
      ...(many ? [grouped(row.hosts)] : []),
    ]),
    notes: [
      rows.length === 0 || !overall
        ? 'no rows'
        : `different overall ${grouped(overall.value)}, between ${span(overall)} (but for one time in 10,000)`,
      ...coverageNotes(answer.coverage),
      ...remarks(answer.notes),
    ],
  };
}
