/** `muster cost`: what counting costs, by program. */
import { remarks } from '../output/coverage.ts';
import { inUnit, perSecond } from '../output/units.ts';
import type { DataVerb } from '../output/verb.ts';
import { countOption, given, pageSize, selectorOption } from './shared-options.ts';

/** A share of one CPU: "0.21 %". */
const share = (value: number | undefined): string => (value === undefined ? '' : `${(value * 100).toPrecision(2)} %`);
const measured = (value: number | undefined, show: (n: number) => string): string =>
  value === undefined ? 'not measured' : show(value);

export const cost: DataVerb<'GetCost'> = {
  name: 'cost',
  method: 'GetCost',
  operands: ['[probe]'],
  options: [selectorOption, countOption],
  examples: ['muster cost', `muster cost syscalls --selector 'host="web-1"' -o json`],
  plan: (operands, options) =>
    given({
      probe: operands[0],
      selector: typeof options['selector'] === 'string' ? options['selector'] : undefined,
      pageSize: pageSize(options),
    }),
  table: ({ rows, cpuShare, kernelBytes, notes }) => ({
    columns: [
      { title: 'host' },
      { title: 'probe' },
      { title: 'program' },
      { title: 'a run', right: true },
      { title: 'runs', right: true },
      { title: 'of one CPU', right: true },
      { title: 'kernel memory', right: true },
    ],
    rows: rows.map((row) => [
      row.host,
      row.probe,
      row.program,
      row.nsPerRun === undefined && row.period ? 'did not run' : measured(row.nsPerRun, (n) => `${n.toFixed(1)} ns`),
      row.runsPerSecond === undefined ? '' : perSecond(row.runsPerSecond),
      share(row.cpuShare),
      row.kernelBytes === undefined ? 'unknown' : inUnit(row.kernelBytes, 'bytes'),
    ]),
    notes: [
      `${cpuShare === undefined ? 'nothing is measured yet' : `${share(cpuShare)} of one CPU in all`} · ${inUnit(kernelBytes, 'bytes')} of kernel memory`,
      ...remarks(notes),
    ],
  }),
};
