/**
 * QueryService/Watch: the question, checked, and what changed between two answers to it. Rows are told apart by their
 * labels; a rate is no change, since a caller derives it (value ÷ coverage.seconds). Law: the rows before, less the
 * removed, with the changed ones put in = the rows after.
 */
import type {
  QueryRequest,
  QueryResponse,
  QueryRow,
  WatchRequest,
  WatchResponse,
} from '../../shared/contract/query.ts';
import { timestamp } from './times.ts';
import { parseLength } from './range.ts';
import { reject } from './rejection.ts';

export const watchIntervalMs = { fallback: 1000, min: 250, max: 3_600_000 } as const;

export interface WatchQuestion {
  readonly query: QueryRequest;
  readonly intervalMs: number;
}

const blank: QueryRequest = {
  metric: '',
  selector: '',
  groupBy: [],
  range: '',
  startTime: undefined,
  endTime: undefined,
  orderBy: '',
  pageSize: 0,
  pageToken: '',
};

/** Checks what is the watch's own; the question itself is checked by answering it. */
export function watchQuestion({ query, interval }: WatchRequest): WatchQuestion {
  const asked = query ?? blank;
  if (asked.pageToken !== '')
    reject({
      kind: 'bad-field',
      field: 'query.page_token',
      problem: 'a watch has one page',
      fix: 'leave it out, and give a larger page_size to see more rows',
    });
  const fix = 'give a time from "250ms" to "1h"';
  const intervalMs = interval === '' ? watchIntervalMs.fallback : parseLength('interval', interval, fix);
  if (intervalMs < watchIntervalMs.min || intervalMs > watchIntervalMs.max)
    reject({ kind: 'bad-field', field: 'interval', problem: `${JSON.stringify(interval)} is out of bounds`, fix });
  return { query: asked, intervalMs };
}

/** An answer as a watch keeps it. */
export interface Watched {
  readonly answer: QueryResponse;
  readonly atMs: number;
  /** By labels. */
  readonly rows: ReadonlyMap<string, QueryRow>;
}

/** A row's labels as one text. */
const keyOf = (row: QueryRow): string => JSON.stringify(row.labels);

export const watched = (answer: QueryResponse, atMs: number): Watched => ({
  answer,
  atMs,
  rows: new Map(answer.rows.map((row) => [keyOf(row), row])),
});

const same = (a: QueryRow, b: QueryRow): boolean =>
  a.value === b.value && a.hosts === b.hosts && a.errorBound === b.errorBound;

/** The update from `before` (undefined: from nothing) to `after`. */
export function updateOf(before: Watched | undefined, after: Watched): WatchResponse {
  const { total, residual, totalErrorBound, unit, coverage, notes, metric } = after.answer;
  const answerTime = timestamp(after.atMs);
  const rest = { total, residual, totalErrorBound, unit, coverage, notes, metric, answerTime };
  if (before === undefined) return { whole: true, rows: after.answer.rows, removed: [], ...rest };
  const rows: QueryRow[] = [];
  for (const [key, row] of after.rows) {
    const held = before.rows.get(key);
    if (held === undefined || !same(held, row)) rows.push(row);
  }
  const removed = [...before.rows].filter(([key]) => !after.rows.has(key)).map(([, { labels }]) => ({ labels }));
  return { whole: false, rows, removed, ...rest };
}
