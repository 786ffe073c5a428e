/** Options that several verbs have, and what they say in a request. */
import type { QueryRequest, Timestamp } from '../../shared/contract/query.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { OptionSpec } from '../output/verb.ts';

export type Options = Readonly<Record<string, unknown>>;

export const selectorOption: OptionSpec = {
  flag: '-s, --selector <text>',
  help: `conditions, e.g. 'comm="nginx",host=~"web-.*"'`,
};
export const countOption: OptionSpec = { flag: '-n, --count <n>', help: 'rows to show' };

/** Of every question about a metric. */
export const selectionOptions: readonly OptionSpec[] = [
  selectorOption,
  { flag: '-g, --group-by <labels>', help: 'labels that make the rows, with commas' },
  { flag: '-r, --range <time>', help: 'up to now: 30s, 5m, 1h; or all' },
  { flag: '--start <time>', help: 'start of an absolute range, RFC 3339' },
  { flag: '--end <time>', help: 'end of an absolute range, RFC 3339' },
  { flag: '--order-by <text>', help: 'value, rate, hosts or a label; then asc or desc' },
  countOption,
];

const said = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** A request without what was not said. */
export function given<T extends object>(request: { [K in keyof T]: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined)) as Partial<T>;
}

export const stepOf = (options: Options): { step?: string } =>
  typeof options['step'] === 'string' ? { step: options['step'] } : {};

/** The fields that questions about a metric share. */
export function selection(operands: readonly string[], options: Options): Partial<QueryRequest> {
  return given({
    metric: operands[0],
    selector: said(options['selector']),
    groupBy: said(options['groupBy'])?.split(',').filter(Boolean),
    range: said(options['range']),
    startTime: time('--start', options['start']),
    endTime: time('--end', options['end']),
    orderBy: said(options['orderBy']),
    pageSize: pageSize(options),
  });
}

export const pageSize = (options: Options): number | undefined => numberFrom1('--count', options['count']);

export function numberFrom1(flag: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const n = Number(value);
  if (Number.isInteger(n) && n >= 1) return n;
  throw new MusterError('config/invalid', `${flag} ${JSON.stringify(value)}: not a number from 1`, {
    remedy: `for example ${flag} 50`,
  });
}

/** A moment that a flag names. */
export function time(flag: string, value: unknown): Timestamp | undefined {
  if (value === undefined) return undefined;
  const ms = typeof value === 'string' ? new Date(value).getTime() : NaN;
  if (Number.isNaN(ms)) {
    throw new MusterError('config/invalid', `${flag} ${JSON.stringify(value)}: not a time`, {
      remedy: 'write it as 2026-01-31T12:00:00Z',
    });
  }
  const seconds = Math.floor(ms / 1000);
  return { seconds: String(seconds), nanos: (ms - seconds * 1000) * 1e6 };
}
