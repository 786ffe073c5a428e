/**
 * Keeps ready what is being asked for: what changed in the store is read in the background, so that no request waits
 * for it. What nobody asked for lately is not read; the next who does waits once.
 */
import type { FleetReader } from '../fleet-reader.ts';
import type { Fleet } from '../checkpoint/fleet.ts';
import type { Need } from '../checkpoint/need.ts';
import type { Query } from '../query.ts';
import type { MethodName, RequestOf } from '../../shared/contract/query.ts';

const everyMs = 200;
/** Questions are kept ready for so long after they were last asked. */
const rememberedMs = 30_000;
const rememberedMax = 8;
/** Ranges move on with time: they are made ready a little before. */
const aheadMs = 600;

interface Asked {
  readonly method: MethodName;
  readonly request: RequestOf<'Query'>;
  atMs: number;
}

export class Refresher {
  readonly #asked = new Map<string, Asked>();
  readonly #timer: NodeJS.Timeout;
  #running = false;

  constructor(
    readonly core: Query,
    readonly reader: FleetReader,
    readonly now: () => number,
  ) {
    this.#timer = setInterval(() => void this.#tick(), everyMs);
  }

  /** A request was answered. */
  note(method: MethodName, request: object): void {
    const { metric, range, startTime, endTime, step } = request as RequestOf<'QueryRange'>;
    const key = JSON.stringify([method, metric, range, startTime, endTime, step]);
    this.#asked.delete(key);
    const asked = { ...request, pageToken: '' } as RequestOf<'Query'>;
    this.#asked.set(key, { method, request: asked, atMs: this.now() });
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= rememberedMax) break;
      this.#asked.delete(oldest);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Of now and of what is next; none where the question is no longer in order: its time has passed, its metric is gone. */
  #needsOf(key: string, { method, request }: Asked, fleet: Fleet, nowMs: number): Need[] {
    try {
      return [nowMs, nowMs + aheadMs].map((at) => this.core.needOf(method, request, fleet, at));
    } catch {
      this.#asked.delete(key);
      return [];
    }
  }

  async #tick(): Promise<void> {
    const nowMs = this.now();
    for (const [key, { atMs }] of this.#asked) if (Math.abs(nowMs - atMs) > rememberedMs) this.#asked.delete(key);
    if (this.#running || this.#asked.size === 0) return;
    this.#running = true;
    try {
      const fleet = await this.reader.load();
      const needs = new Map<string, Need>();
      for (const [key, asked] of this.#asked)
        for (const n of this.#needsOf(key, asked, fleet, nowMs)) needs.set(n.key, n);
      await this.reader.refresh([...needs.values()]);
    } catch {
      // The store is away: whoever asks next learns it first-hand.
    } finally {
      this.#running = false;
    }
  }
}
