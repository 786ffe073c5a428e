/**
 * Keeps watches supplied: one loop a topic, which sleeps until a stream is due, answers when the counts have moved on,
 * and writes to whoever is ready. A stream has one update on the way at most: a slow reader gets fewer, later ones.
 */
import type { QueryRequest, QueryResponse, WatchRequest } from '../../shared/contract/query.ts';
import type { Topic, Update, Watches, WatchStream } from '../watches.ts';

/** Where updates go: a call. */
export interface WatchSink {
  /** `sent` is called when the other side has room for the next one; never, when it has gone. */
  write(update: Update, sent: () => void): void;
  /** Ends the stream. */
  fail(error: unknown): void;
}

export interface WatchSource {
  /** Names the state of all checkpoints. */
  state(): Promise<string>;
  answer(query: QueryRequest, signal: AbortSignal): Promise<QueryResponse>;
}

/** Topics answered at the same time: the rest wait, and calls are served in between. */
const answersAtOnce = 4;
/** A timer may fire a little early. */
const slackMs = 5;

export class WatchDriver {
  readonly #sinks = new Map<WatchStream, { readonly sink: WatchSink; ready: boolean }>();
  readonly #wake = new Map<Topic, () => void>();
  /** Aborted when a topic's last stream leaves: an answer that nobody waits for gives its slot back. */
  readonly #left = new Map<Topic, AbortController>();
  readonly #waiting: (() => void)[] = [];
  readonly #stop = new AbortController();
  #answering = 0;

  constructor(
    readonly watches: Watches,
    readonly source: WatchSource,
    readonly now: () => number,
    readonly deadlineMs: number,
  ) {}

  /** Starts a watch and returns what ends it. Throws Rejected. */
  open(request: WatchRequest, sink: WatchSink): () => void {
    const { stream, isNew } = this.watches.open(request);
    this.#sinks.set(stream, { sink, ready: true });
    if (isNew) void this.#run(stream.topic);
    else this.#wake.get(stream.topic)?.();
    return () => this.#drop(stream);
  }

  get streams(): number {
    return this.#sinks.size;
  }

  /** Ends every watch with an error. */
  close(error: unknown): void {
    this.#stop.abort();
    for (const topic of [...this.watches.topics]) this.#failAll(topic, error);
  }

  #drop(stream: WatchStream): void {
    this.#sinks.delete(stream);
    this.watches.close(stream);
    if (stream.topic.streams.size > 0) return;
    this.#left.get(stream.topic)?.abort();
    this.#wake.get(stream.topic)?.();
  }

  async #run(topic: Topic): Promise<void> {
    const left = new AbortController();
    this.#left.set(topic, left);
    try {
      while (topic.streams.size > 0) {
        const state = await this.source.state();
        if (topic.streams.size === 0) return;
        if (this.watches.needsAnswer(topic, state, this.now())) await this.#answer(topic, state, left.signal);
        for (const stream of topic.streams) this.#offer(stream);
        await this.#sleep(topic);
      }
    } catch (error) {
      this.#failAll(topic, error);
    } finally {
      this.#left.delete(topic);
      this.#wake.delete(topic);
    }
  }

  async #answer(topic: Topic, state: string, left: AbortSignal): Promise<void> {
    if (this.#answering < answersAtOnce) this.#answering++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      // Whoever asked may have gone while it waited.
      if (left.aborted) return;
      const signal = AbortSignal.any([this.#stop.signal, left, AbortSignal.timeout(this.deadlineMs)]);
      const answer = await this.source.answer(topic.query, signal);
      this.watches.answered(topic, state, answer, this.now());
    } finally {
      // To the next in line and not through the count, or one more could start before that one wakes. The answer has
      // ended by now: one that was aborted kept its slot until it stopped working.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#answering--;
    }
  }

  #offer(stream: WatchStream): void {
    const entry = this.#sinks.get(stream);
    if (!entry?.ready) return;
    const update = this.watches.next(stream, this.now() + slackMs);
    if (!update) return;
    entry.ready = false;
    entry.sink.write(update, () => (entry.ready = true));
  }

  /** Until some stream is due again, or somebody new comes. */
  #sleep(topic: Topic): Promise<void> {
    let shortest = Infinity;
    for (const { intervalMs } of topic.streams) shortest = Math.min(shortest, intervalMs);
    if (shortest === Infinity) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, shortest);
      this.#wake.set(topic, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #failAll(topic: Topic, error: unknown): void {
    for (const stream of [...topic.streams]) {
      const entry = this.#sinks.get(stream);
      this.#drop(stream);
      entry?.sink.fail(error);
    }
  }
}
