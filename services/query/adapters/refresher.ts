/**
 * Keeps ready what is being asked for: what changed in the store is read in the background, so that no request waits
 * for it. What nobody asked for lately is not read; the next who does waits once.
 */
import type { FleetReader } from '../fleet-reader.ts';
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

  async #tick(): Promise<void> {
    const nowMs = this.now();
    for (const [key, { atMs }] of this.#asked) if (Math.abs(nowMs - atMs) > rememberedMs) this.#asked.delete(key);
    if (this.#running || this.#asked.size === 0) return;
    this.#running = true;
    try {
      const fleet = await this.reader.load();
      const needs: Need[] = [];
      for (const { method, request } of this.#asked.values())
        for (const at of [nowMs, nowMs + aheadMs]) needs.push(this.core.needOf(method, request, fleet, at));
      await this.reader.refresh([...new Map(needs.map((n) => [n.key, n])).values()]);
    } catch {
      // The store is away: whoever asks next learns it first-hand.
    } finally {
      this.#running = false;
    }
  }
}
