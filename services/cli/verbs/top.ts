/** `muster top`: the largest rows of a metric. */
import type { QueryResponse } from '../../shared/contract/query.ts';
import { coverageNotes, remarks } from '../output/coverage.ts';
import type { Table } from '../output/table.ts';
import { amount, grouped, perSecond } from '../output/units.ts';
import type { DataVerb } from '../output/verb.ts';
import { selection, selectionOptions } from './shared-options.ts';

export const top: DataVerb<'Query'> = {
  name: 'top',
  method: 'Query',
  operands: ['[metric]'],
  options: [...selectionOptions, { flag: '--once', help: 'print once and end, on a terminal too' }],
  examples: ['muster top', `muster top syscalls --selector 'comm="nginx"' --group-by syscall --range 5m`],
  plan: selection,
  table: topTable,
};

export function topTable(answer: QueryResponse): Table {
  const { rows, unit } = answer;
  const labels = labelNames(rows);
  const many = rows.some((row) => row.hosts > 1);
  const bounded = rows.some((row) => row.errorBound !== '0');
  return {
    columns: [
      ...labels.map((title) => ({ title })),
      { title: unit || 'value', right: true },
      { title: 'rate', right: true },
      ...(many ? [{ title: 'hosts', right: true }] : []),
      ...(bounded ? [{ title: 'more by', right: true }] : []),
    ],
    rows: rows.map((row) => [
      ...labels.map((name) => row.labels[name] ?? ''),
      amount(row.value, unit),
      perSecond(row.ratePerSecond),
      ...(many ? [grouped(row.hosts)] : []),
      ...(bounded ? [`≤ ${grouped(row.errorBound)}`] : []),
    ]),
    notes: [
      rows.length === 0
        ? 'no rows'
        : `total ${amount(answer.total, unit)} · not shown ${amount(answer.residual, unit)}`,
      ...coverageNotes(answer.coverage),
      ...remarks(answer.notes),
    ],
  };
}

/** Label names of all rows, in the order they come. */
export function labelNames(rows: readonly { readonly labels: Readonly<Record<string, string>> }[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row.labels)))];
}
