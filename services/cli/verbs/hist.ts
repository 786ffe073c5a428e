/** `muster hist`: a distribution as quantiles by group, and as bars overall. */
import type { Bucket, QueryHistogramResponse } from '../../shared/contract/query.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import { coverageNotes, remarks } from '../output/coverage.ts';
import { heatMap, octaveOf, octaveText } from '../output/heat-map.ts';
import type { Table } from '../output/table.ts';
import { bar, grouped, inUnit } from '../output/units.ts';
import type { DataVerb } from '../output/verb.ts';
import { selection, selectionOptions, stepOf } from './shared-options.ts';
import { labelNames } from './top.ts';

export const hist: DataVerb<'QueryHistogram'> = {
  name: 'hist',
  method: 'QueryHistogram',
  operands: ['[metric]'],
  options: [
    ...selectionOptions,
    { flag: '-q, --quantiles <list>', help: 'quantiles from 0 to 1, with commas' },
    { flag: '--step <time>', help: 'a heat map over time: length of a step, a multiple of 10s' },
  ],
  examples: ['muster hist runqueue', 'muster hist runqueue --group-by comm --quantiles 0.5,0.99 --range 5m --step 10s'],
  plan: (operands, options) => ({
    ...selection(operands, options),
    ...quantiles(options['quantiles']),
    ...stepOf(options),
  }),
  table: histTable,
};

function quantiles(said: unknown): { quantiles?: number[] } {
  if (typeof said !== 'string') return {};
  const numbers = said.split(',').map(Number);
  if (numbers.every((q) => q >= 0 && q <= 1)) return { quantiles: numbers };
  throw new MusterError('config/invalid', `--quantiles ${JSON.stringify(said)}: each lies between 0 and 1`, {
    remedy: 'for example --quantiles 0.5,0.99',
  });
}

export function histTable(answer: QueryHistogramResponse, width: number): Table {
  const { rows, unit } = answer;
  const labels = labelNames(rows);
  const named = rows[0]?.quantiles.map((q) => q.quantile) ?? [];
  return {
    columns: [
      ...labels.map((title) => ({ title })),
      { title: 'count', right: true },
      { title: 'mean', right: true },
      ...named.map((q) => ({ title: `p${Number((q * 100).toPrecision(6))}`, right: true })),
    ],
    rows: rows.map((row) => [
      ...labels.map((name) => row.labels[name] ?? ''),
      grouped(row.count),
      inUnit(Number(row.sum) / Math.max(1, Number(row.count)), unit),
      ...named.map((_, i) => inUnit(row.quantiles[i]?.value, unit)),
    ]),
    picture: answer.step
      ? heatMap(answer.overall?.points ?? [], unit)
      : picture(answer.overall?.buckets ?? [], unit, width),
    notes: [
      rows.length === 0 ? 'no rows' : 'each quantile lies within 6.25 %; -o json gives its bounds',
      ...coverageNotes(answer.coverage),
      ...remarks(answer.notes),
    ],
  };
}

/** One bar for each power of two that holds something, and one for zero; a gap between them shows as one line. */
function picture(buckets: readonly Bucket[], unit: string, width: number): string[] {
  const octaves = new Map<number, number>();
  for (const b of buckets) {
    const octave = octaveOf(b);
    octaves.set(octave, (octaves.get(octave) ?? 0) + Number(b.count));
  }
  const held = [...octaves].sort(([a], [b]) => a - b);
  const largest = Math.max(...octaves.values());
  const room = Math.max(10, Math.min(60, width - 30));
  return held.flatMap(([octave, count], i) => {
    const from = octaveText(octave, unit);
    const gap = i > 0 && octave > held[i - 1]![0] + 1 ? ['         …'] : [];
    return [...gap, `${from.padStart(10)}  ${bar(count, largest, room)} ${grouped(count)}`];
  });
}
