/**
 * Shows a watch until it is told to stop: on a terminal one table that changes in place, else one text an update. A
 * service that goes away is asked again when it says that it may be.
 */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { QueryError, type QueryClient } from '../../shared/adapters/grpc-client.ts';
import type { QueryResponse, WatchRequest, WatchResponse } from '../../shared/contract/query.ts';
import type { frame, Held } from '../output/live.ts';

export interface LiveView {
  readonly held: Held;
  readonly frame: typeof frame;
  /** The text of an answer, notes included, or of an update for programs. */
  readonly show: (answer: QueryResponse, update: WatchResponse) => string;
  /** Draw in place. */
  readonly terminal: boolean;
  readonly out: (text: string) => void;
  readonly note: (text: string) => void;
  /** Updates to show; undefined: until told to stop. */
  readonly count: number | undefined;
}

const retryMsMax = 10_000;

/** The last answer shown; undefined when there was none. */
export async function showLive(
  client: QueryClient,
  request: Partial<WatchRequest>,
  view: LiveView,
): Promise<QueryResponse | undefined> {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once('SIGINT', end).once('SIGTERM', end);
  let lines = 0;
  let shown = 0;
  let last: QueryResponse | undefined;
  try {
    for (let failures = 0; !stop.signal.aborted;) {
      try {
        for await (const update of client.watch(request, { signal: stop.signal })) {
          failures = 0;
          last = view.held.take(update);
          const text = view.show(last, update);
          if (view.terminal) {
            // A terminal may say that it has no size.
            const next = view.frame(text, lines, process.stdout.columns || 120, process.stdout.rows || 40);
            lines = next.lines;
            view.out(next.bytes);
          } else view.out(text);
          if (++shown === view.count) return last;
        }
      } catch (error) {
        if (stop.signal.aborted) return last;
        // Only what was there and went away is waited for.
        const retryMs = error instanceof QueryError ? error.status.retryAfterMs : undefined;
        if (shown === 0 || retryMs === undefined) throw error;
        view.note(`${(error as Error).message}\n`);
        if (view.terminal) lines = 0;
        await sleep(Math.min(retryMsMax, retryMs * 2 ** failures++), undefined, { signal: stop.signal }).catch(
          () => {},
        );
      }
    }
    return last;
  } finally {
    process.removeListener('SIGINT', end);
    process.removeListener('SIGTERM', end);
  }
}
