/** `muster range`: a metric over time, one line a series. */
import { clock, grouped, inUnit, sparkline } from '../output/units.ts';
import { coverageNotes, list, remarks, text } from '../output/coverage.ts';
import type { Table } from '../output/table.ts';
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
import { labelNames, labelOf } from './top.ts';

export const range: DataVerb = {
  name: 'range',
  operands: ['[metric]'],
  options: [
    selectorOption,
    groupOption,
    rangeOption,
    sinceOption,
    untilOption,
    { flag: '--step <time>', help: 'length of a point, a multiple of 10s' },
    orderOption,
    countOption,
  ],
  examples: ['muster range', 'muster range syscalls --group-by host --range 15m --step 30s'],
  plan: (operands, options) => ({
    service: 'QueryService',
    method: 'QueryRange',
    request: { ...selection(operands, options), ...(options['step'] === undefined ? {} : { step: options['step'] }) },
  }),
  table: rangeTable,
};

export function rangeTable(answer: Answer, width: number): Table {
  const series = list(answer['series']);
  const unit = text(answer['unit']);
  const labels = labelNames(series);
  const points = series.map((s) => list(s['points']).map((p) => Number(p['value'] ?? 0)));
  const room = Math.max(20, width - 60);
  const value = (amount: unknown): string => (unit === 'ns' || unit === 'bytes' ? inUnit(amount, unit) : grouped(amount));
  const times = list(series[0]?.['points']).map((p) => p['time']);
  return {
    columns: [
      ...labels.map((title) => ({ title })),
      { title: unit || 'value', right: true },
      { title: 'largest', right: true },
      { title: `${clock(times[0])}–${clock(times.at(-1))}` },
    ],
    rows: series.map((s, i) => [
      ...labels.map((name) => labelOf(s, name)),
      value(s['value']),
      value(points[i]!.reduce((a, b) => Math.max(a, b), 0)),
      sparkline(points[i]!.slice(-room)),
    ]),
    notes: [
      series.length === 0 ? 'no series' : `a point is ${text(answer['step']) || 'one step'}; each line is scaled to its own largest`,
      ...coverageNotes(answer['coverage']),
      ...remarks(answer['notes']),
    ],
  };
}
