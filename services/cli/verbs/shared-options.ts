/** Options that several verbs have, and their meaning in a request. */
import { MusterError } from '../../shared/runtime/errors.ts';
import type { OptionSpec } from '../output/verb.ts';

type Options = Readonly<Record<string, unknown>>;

export const selectorOption: OptionSpec = {
  flag: '-s, --selector <text>',
  help: `conditions, e.g. 'comm="nginx",host=~"web-.*"'`,
};
export const groupOption: OptionSpec = { flag: '-g, --group-by <labels>', help: 'labels that make the rows, with commas' };
export const rangeOption: OptionSpec = { flag: '-r, --range <time>', help: 'up to now: 30s, 5m, 1h; or all' };
export const sinceOption: OptionSpec = { flag: '--start <time>', help: 'start of an absolute range, RFC 3339' };
export const untilOption: OptionSpec = { flag: '--end <time>', help: 'end of an absolute range, RFC 3339' };
export const countOption: OptionSpec = { flag: '-n, --count <n>', help: 'rows to show' };
export const orderOption: OptionSpec = { flag: '--order-by <text>', help: `value, rate, hosts or a label; then asc or desc` };

/** A request without what was not said. */
export function given(request: Options): Record<string, unknown> {
  return Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
}

/** The fields that questions about a metric share. */
export function selection(operands: readonly string[], options: Options): Record<string, unknown> {
  return given({
    metric: operands[0],
    selector: options['selector'],
    group_by: typeof options['groupBy'] === 'string' ? options['groupBy'].split(',').filter(Boolean) : undefined,
    range: options['range'],
    start_time: time('--start', options['start']),
    end_time: time('--end', options['end']),
    order_by: options['orderBy'],
    page_size: pageSize(options),
  });
}

export function pageSize(options: Options): number | undefined {
  const said = options['count'];
  if (said === undefined) return undefined;
  const n = Number(said);
  if (!Number.isInteger(n) || n < 1) {
    throw new MusterError('config/invalid', `--count ${JSON.stringify(said)}: not a number from 1`, { remedy: 'for example -n 50' });
  }
  return n;
}

function time(flag: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const parsed = typeof value === 'string' ? new Date(value) : undefined;
  if (!parsed || Number.isNaN(parsed.getTime())) {
    throw new MusterError('config/invalid', `${flag} ${JSON.stringify(value)}: not a time`, {
      remedy: `write it as 2026-01-31T12:00:00Z`,
    });
  }
  return parsed.toISOString();
}
