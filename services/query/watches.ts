/**
 * Who watches what. Streams that ask the same share a topic: one answer per state of the checkpoints, one update from
 * the answer before it, one whole update for whoever is new or was too slow. Holds two answers a topic, whatever the
 * number of its streams; a stream holds none.
 */
import { requestHash } from './answer/page.ts';
import { reject } from './answer/rejection.ts';
import { updateOf, watched, watchQuestion, type Watched } from './answer/watch.ts';
import type { QueryRequest, QueryResponse, WatchRequest, WatchResponse } from '../shared/contract/query.ts';

/** A watch says at least this often that it lives, and what its answer covers. */
export const quietMsMax = 5000;

/** An update that streams share; `bytes` is its encoding, made by the first that sends it. */
export interface Update {
  readonly message: WatchResponse;
  bytes?: Buffer;
}

export interface WatchStream {
  readonly topic: Topic;
  readonly intervalMs: number;
  /** Number of the answer it has; 0: none yet. */
  seen: number;
  sentMs: number;
}

export interface Topic {
  readonly key: string;
  readonly query: QueryRequest;
  readonly streams: Set<WatchStream>;
  /** State of the checkpoints that `latest` answers. */
  state: string;
  number: number;
  before: Watched | undefined;
  latest: Watched | undefined;
  whole: Update | undefined;
  change: Update | undefined;
}

export class Watches {
  readonly #topics = new Map<string, Topic>();

  /** `rowsMax` bounds the rows that all topics together keep. */
  constructor(readonly rowsMax: number) {}

  get topics(): Iterable<Topic> {
    return this.#topics.values();
  }

  /** The stream, and whether its topic is new. Rejects a watch that makes no sense. */
  open(request: WatchRequest): { stream: WatchStream; isNew: boolean } {
    const { query, intervalMs } = watchQuestion(request);
    // The number of rows makes another answer too.
    const key = `${requestHash('Query', query)} ${query.pageSize}`;
    let topic = this.#topics.get(key);
    const isNew = topic === undefined;
    if (topic === undefined) {
      const none = { state: '', number: 0, before: undefined, latest: undefined, whole: undefined, change: undefined };
      this.#topics.set(key, (topic = { key, query, streams: new Set(), ...none }));
    }
    const stream = { topic, intervalMs, seen: 0, sentMs: -Infinity };
    topic.streams.add(stream);
    return { stream, isNew };
  }

  close(stream: WatchStream): void {
    const { topic } = stream;
    topic.streams.delete(stream);
    if (topic.streams.size === 0 && this.#topics.get(topic.key) === topic) this.#topics.delete(topic.key);
  }

  /** True when the topic needs another answer: the counts have moved on, or too long was nothing said. */
  needsAnswer(topic: Topic, state: string, nowMs: number): boolean {
    return topic.latest === undefined || topic.state !== state || Math.abs(nowMs - topic.latest.atMs) >= quietMsMax;
  }

  /** Takes an answer. Rejects where all topics together would keep too many rows. */
  answered(topic: Topic, state: string, answer: QueryResponse, nowMs: number): void {
    let rows = answer.rows.length;
    for (const t of this.#topics.values()) if (t !== topic) rows += t.latest?.rows.size ?? 0;
    if (rows > this.rowsMax) reject({ kind: 'too-many', limit: 'max-watch-rows', max: this.rowsMax });
    topic.before = topic.latest;
    topic.latest = watched(answer, nowMs);
    topic.state = state;
    topic.number++;
    topic.whole = topic.change = undefined;
  }

  /** The update a stream is due, which it then has; undefined: none now. */
  next(stream: WatchStream, nowMs: number): Update | undefined {
    const { topic } = stream;
    if (topic.latest === undefined || stream.seen === topic.number) return undefined;
    // A clock that was set back has nobody wait for it.
    if (nowMs < this.dueMs(stream) && nowMs >= stream.sentMs) return undefined;
    // More than one answer behind: what it has is no longer kept.
    const follows = topic.before !== undefined && stream.seen > 0 && stream.seen === topic.number - 1;
    stream.seen = topic.number;
    stream.sentMs = nowMs;
    if (follows) return (topic.change ??= { message: updateOf(topic.before, topic.latest) });
    return (topic.whole ??= { message: updateOf(undefined, topic.latest) });
  }

  /** When a stream may get its next update. */
  dueMs(stream: WatchStream): number {
    return stream.sentMs + stream.intervalMs;
  }
}
