/** `muster hist`: a distribution as quantiles by group, and as bars overall. */
import { bar, grouped, inUnit } from '../output/units.ts';
import { coverageNotes, list, remarks, text } from '../output/coverage.ts';
import type { Table } from '../output/table.ts';
import type { Answer, DataVerb } from '../output/verb.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
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

export const hist: DataVerb = {
  name: 'hist',
  operands: ['[metric]'],
  options: [
    selectorOption,
    groupOption,
    rangeOption,
    sinceOption,
    untilOption,
    { flag: '-q, --quantiles <list>', help: 'quantiles from 0 to 1, with commas' },
    orderOption,
    countOption,
  ],
  examples: ['muster hist runqueue', `muster hist runqueue --group-by comm --quantiles 0.5,0.99 --range 5m`],
  plan: (operands, options) => ({
    service: 'QueryService',
    method: 'QueryHistogram',
    request: { ...selection(operands, options), ...quantiles(options['quantiles']) },
  }),
  table: histTable,
};

function quantiles(said: unknown): { quantiles?: number[] } {
  if (said === undefined) return {};
  const numbers = String(said).split(',').map(Number);
  if (numbers.some((q) => !(q >= 0 && q <= 1))) {
    throw new MusterError('config/invalid', `--quantiles ${JSON.stringify(said)}: each lies between 0 and 1`, {
      remedy: 'for example --quantiles 0.5,0.99',
    });
  }
  return { quantiles: numbers };
}

export function histTable(answer: Answer, width: number): Table {
  const rows = list(answer['rows']);
  const unit = text(answer['unit']);
  const labels = labelNames(rows);
  const named = list(rows[0]?.['quantiles']).map((q) => Number(q['quantile'] ?? 0));
  const percent = (q: number): string => `p${Number((q * 100).toPrecision(6))}`;
  return {
    columns: [
      ...labels.map((title) => ({ title })),
      { title: 'count', right: true },
      { title: 'mean', right: true },
      ...named.map((q) => ({ title: percent(q), right: true })),
    ],
    rows: rows.map((row) => [
      ...labels.map((name) => labelOf(row, name)),
      grouped(row['count']),
      inUnit(Number(row['sum'] ?? 0) / Math.max(1, Number(row['count'] ?? 0)), unit),
      ...named.map((_, i) => inUnit(list(row['quantiles'])[i]?.['value'], unit)),
    ]),
    notes: [
      rows.length === 0 ? 'no rows' : 'each quantile lies within 6.25 %; -o json gives its bounds',
      ...picture(answer, unit, width),
      ...coverageNotes(answer['coverage']),
      ...remarks(answer['notes']),
    ],
  };
}

/** The overall distribution, one bar for each power of two that holds something or lies between such. */
function picture(answer: Answer, unit: string, width: number): string[] {
  const buckets = list((answer['overall'] as Answer | undefined)?.['buckets']);
  const octaves = new Map<number, number>();
  for (const b of buckets) {
    const octave = Math.floor(Math.log2(Math.max(1, Number(b['upper'] ?? 0))));
    octaves.set(octave, (octaves.get(octave) ?? 0) + Number(b['count'] ?? 0));
  }
  if (octaves.size === 0) return [];
  const first = Math.min(...octaves.keys());
  const last = Math.max(...octaves.keys());
  const largest = Math.max(...octaves.values());
  const room = Math.max(10, Math.min(60, width - 30));
  return Array.from({ length: last - first + 1 }, (_, i) => {
    const count = octaves.get(first + i) ?? 0;
    return `${inUnit(2 ** (first + i), unit).padStart(8)}  ${bar(count, largest, room)} ${grouped(count)}`;
  });
}
