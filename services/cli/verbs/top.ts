/** `muster top`: the largest rows of a metric. */
import { coverageNotes, list, remarks, text } from '../output/coverage.ts';
import type { Table } from '../output/table.ts';
import { grouped, inUnit, perSecond } from '../output/units.ts';
import type { Answer, DataVerb } from '../output/verb.ts';
import {
  countOption,
  groupOption,
  orderOption,
  rangeOption,
  selection,
  selectorOption,
  sinceOption,
  untilOption,
} from './shared-options.ts';

export const top: DataVerb = {
  name: 'top',
  operands: ['[metric]'],
  options: [selectorOption, groupOption, rangeOption, sinceOption, untilOption, orderOption, countOption],
  examples: ['muster top', `muster top syscalls --selector 'comm="nginx"' --group-by syscall --range 5m`],
  plan: (operands, options) => ({ service: 'QueryService', method: 'Query', request: selection(operands, options) }),
  table: topTable,
};

export function topTable(answer: Answer): Table {
  const rows = list(answer['rows']);
  const unit = text(answer['unit']);
  const labels = labelNames(rows);
  const many = rows.some((row) => Number(row['hosts'] ?? 0) > 1);
  const bounded = rows.some((row) => row['error_bound'] !== undefined && row['error_bound'] !== '0');
  const value = (amount: unknown): string => (unit === 'ns' || unit === 'bytes' ? inUnit(amount, unit) : grouped(amount));
  return {
    columns: [
      ...labels.map((title) => ({ title })),
      { title: unit || 'value', right: true },
      { title: 'rate', right: true },
      ...(many ? [{ title: 'hosts', right: true }] : []),
      ...(bounded ? [{ title: 'more by', right: true }] : []),
    ],
    rows: rows.map((row) => [
      ...labels.map((name) => labelOf(row, name)),
      value(row['value']),
      perSecond(row['rate_per_second']),
      ...(many ? [grouped(row['hosts'])] : []),
      ...(bounded ? [`≤ ${grouped(row['error_bound'])}`] : []),
    ]),
    notes: [
      rows.length === 0 ? 'no rows' : `total ${value(answer['total'])} · not shown ${value(answer['residual'] ?? '0')}`,
      ...coverageNotes(answer['coverage']),
      ...remarks(answer['notes']),
    ],
  };
}

/** Label names of all rows, in the order they come. */
export function labelNames(rows: readonly Answer[]): string[] {
  const names = new Set<string>();
  for (const row of rows) for (const name of Object.keys(labelsOf(row))) names.add(name);
  return [...names];
}

const labelsOf = (row: Answer): Readonly<Record<string, string>> => (row['labels'] ?? {}) as Record<string, string>;
export const labelOf = (row: Answer, name: string): string => labelsOf(row)[name] ?? '';
