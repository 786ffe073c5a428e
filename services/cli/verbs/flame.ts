/** `muster flame`: stacks as folded text, as a picture, or as a profile for `go tool pprof`. */
import type { QueryStacksRequest, QueryStacksResponse, StackRow, StacksBaseline } from '../../shared/contract/query.ts';
import { coverageNotes, remarks } from '../output/coverage.ts';
import { flameSvg } from '../output/flame-svg.ts';
import type { Table } from '../output/table.ts';
import { amount, perSecond } from '../output/units.ts';
import type { DataVerb } from '../output/verb.ts';
import { given, selection, selectionOptions, time, type Options } from './shared-options.ts';
import { labelNames } from './top.ts';

export const flame: DataVerb<'QueryStacks'> = {
  name: 'flame',
  method: 'QueryStacks',
  operands: ['[metric]'],
  options: [
    ...selectionOptions,
    { flag: '--before <time>', help: 'compare with the same length of time, this much earlier: 10m' },
    { flag: '--baseline <selector>', help: 'compare with what these conditions select' },
    { flag: '--baseline-start <time>', help: 'compare with an absolute range, RFC 3339' },
    { flag: '--baseline-end <time>', help: 'its end' },
  ],
  examples: [
    `muster flame cpu_profile --selector 'comm="nginx"' --range 5m -o svg > nginx.svg`,
    'muster flame off_cpu --group-by comm --before 10m -o pprof > off.pb && go tool pprof -top off.pb',
  ],
  plan: stacksPlan,
  table: stacksTable,
  documents: [
    { name: 'folded', write: foldedText },
    { name: 'svg', write: picture },
    { name: 'pprof', write: (answer) => answer.pprof },
  ],
};

const formatOf: Readonly<Record<string, string>> = { svg: 'tree', pprof: 'pprof' };
/** A picture, a profile and folded text are wanted whole; a table is for reading. */
const wholePage = 10_000;

function stacksPlan(operands: readonly string[], options: Options): Partial<QueryStacksRequest> {
  const output = String(options['output']);
  const asked = selection(operands, options);
  return {
    ...asked,
    ...given<Pick<QueryStacksRequest, 'format' | 'baseline' | 'pageSize'>>({
      format: formatOf[output],
      baseline: baselineOf(options),
      pageSize: asked.pageSize ?? (output === 'folded' ? wholePage : undefined),
    }),
  };
}

function baselineOf(options: Options): StacksBaseline | undefined {
  const said = (name: string): string | undefined => options[name] as string | undefined;
  const baseline = given<StacksBaseline>({
    selector: said('baseline'),
    range: undefined,
    offset: said('before'),
    startTime: time('--baseline-start', options['baselineStart']),
    endTime: time('--baseline-end', options['baselineEnd']),
  });
  return Object.keys(baseline).length > 0 ? (baseline as StacksBaseline) : undefined;
}

/**
 * What tools for flame graphs read: a stack a line, then its count, before it that of the baseline where there is one. They
 * know no count below zero, as the residual of sampled stacks may be: it is left out.
 */
export function foldedText(answer: QueryStacksResponse): string {
  const compared = answer.baselineTotal !== undefined && answer.baselineTotal !== null;
  const count = (value: string, base: string | undefined): string => (compared ? `${base ?? '0'} ${value}` : value);
  const line = (row: StackRow): string =>
    `${[...Object.values(row.labels).map((text) => text.replace(/[;\s]/g, '_')), row.stack].join(';')} ${count(row.value, row.baselineValue)}\n`;
  const rest =
    BigInt(answer.residual) > 0n || (compared && BigInt(answer.baselineResidual ?? '0') > 0n)
      ? `[not shown] ${count(atLeast0(answer.residual), atLeast0(answer.baselineResidual ?? '0'))}\n`
      : '';
  return answer.rows.map(line).join('') + rest;
}

const atLeast0 = (value: string): string => (value.startsWith('-') ? '0' : value);

function picture(answer: QueryStacksResponse): string {
  const { nodes, unit, metric, total, baselineTotal } = answer;
  const before = baselineTotal ? `, before ${amount(baselineTotal, unit)}` : '';
  return flameSvg({ nodes, unit, title: `${metric}: ${amount(total, unit)}${before}` });
}

export function stacksTable(answer: QueryStacksResponse): Table {
  const { rows, unit } = answer;
  const labels = labelNames(rows);
  const compared = rows.some((row) => row.difference !== undefined && row.difference !== null);
  return {
    columns: [
      ...labels.map((title) => ({ title })),
      { title: unit || 'value', right: true },
      ...(compared ? [{ title: 'before', right: true }] : []),
      { title: 'rate', right: true },
      { title: 'stack' },
    ],
    rows: rows.map((row) => [
      ...labels.map((name) => row.labels[name] ?? ''),
      amount(row.value, unit),
      ...(compared ? [amount(row.baselineValue, unit)] : []),
      unit === 'ns' ? `${(row.ratePerSecond / 1e9).toPrecision(3)} CPUs` : perSecond(row.ratePerSecond),
      row.stack,
    ]),
    notes: [
      rows.length === 0 && answer.nodes.length === 0 && answer.pprof.length === 0
        ? 'no rows'
        : `total ${amount(answer.total, unit)} · not shown ${amount(answer.residual, unit)}`,
      ...coverageNotes(answer.coverage),
      ...remarks(answer.notes),
    ],
  };
}
