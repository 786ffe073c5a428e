/** `muster watch`: the largest rows of a metric, kept up to date by the service. */
import type { QueryRequest, WatchRequest } from '../../shared/contract/query.ts';
import type { OptionSpec } from '../output/verb.ts';
import { numberFrom1, selection, selectionOptions, type Options } from './shared-options.ts';

export const watchOptions: readonly OptionSpec[] = [
  ...selectionOptions,
  { flag: '-i, --interval <time>', help: 'least time between two updates', fallback: '1s' },
  { flag: '--updates <n>', help: 'end after so many updates' },
];
export const watchExamples: readonly [string, string] = [
  'muster watch',
  'muster watch syscalls --group-by comm --range all --interval 2s -o jsonl',
];

export const watchPlan = (operands: readonly string[], options: Options): Partial<WatchRequest> => ({
  query: selection(operands, options) as QueryRequest,
  interval: typeof options['interval'] === 'string' ? options['interval'] : '1s',
});

export const updateCount = (options: Options): number | undefined => numberFrom1('--updates', options['updates']);
