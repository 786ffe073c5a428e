/** `muster range`: a metric over time, one line a series. */
import { durationText } from '../../shared/contract/proto-json.ts';
import type { QueryRangeResponse } from '../../shared/contract/query.ts';
import { clock, coverageNotes, remarks } from '../output/coverage.ts';
import type { Table } from '../output/table.ts';
import { amount, sparkline } from '../output/units.ts';
import type { DataVerb } from '../output/verb.ts';
import { selection, selectionOptions, stepOf } from './shared-options.ts';
import { labelNames } from './top.ts';

export const range: DataVerb<'QueryRange'> = {
  name: 'range',
  method: 'QueryRange',
  operands: ['[metric]'],
  options: [
    ...selectionOptions,
    { flag: '--step <time>', help: 'length of a point, a multiple of 10s; of metrics kept by second, of 1s' },
  ],
  examples: ['muster range', 'muster range syscalls --group-by host --range 15m --step 30s'],
  plan: (operands, options) => ({
    ...selection(operands, options),
    ...stepOf(options),
  }),
  table: rangeTable,
};

export function rangeTable(answer: QueryRangeResponse, width: number): Table {
  const { series, unit } = answer;
  const labels = labelNames(series);
  const room = Math.max(20, width - 60);
  const points = series.map((s) => s.points.map((p) => Number(p.value)));
  const times = series[0]?.points.map((p) => p.time) ?? [];
  return {
    columns: [
      ...labels.map((title) => ({ title })),
      { title: unit || 'value', right: true },
      { title: 'largest', right: true },
      { title: `${clock(times[0])}–${clock(times.at(-1))} UTC` },
    ],
    rows: series.map((s, i) => [
      ...labels.map((name) => s.labels[name] ?? ''),
      amount(s.value, unit),
      amount(
        points[i]!.reduce((a, b) => Math.max(a, b), 0),
        unit,
      ),
      sparkline(points[i]!.slice(-room)),
    ]),
    notes: [
      series.length === 0
        ? 'no series'
        : `a point is ${answer.step ? durationText(answer.step) : 'one step'}; each line is scaled to its own largest`,
      ...coverageNotes(answer.coverage),
      ...remarks(answer.notes),
    ],
  };
}
