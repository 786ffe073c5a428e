/**
 * Performs the effects of one partition's core (protocol.ts) and feeds it events: the clock, the bus, the store.
 * One commit at a time, at most once a second, and only when there is something to commit. While the store is
 * away nothing is acknowledged, so that the bus stops delivering by itself.
 */
import { assert } from '../../shared/runtime/assert.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { BatchSource, ReceivedBatch } from '../../shared/runtime/ports/batch-source.ts';
import type { CheckpointStore, CommitRequest } from '../../shared/runtime/ports/checkpoint-store.ts';
import type { PartitionEffect, PartitionEvent } from '../protocol.ts';
import type { CommitGate } from './commit-gate.ts';
import type { Outage } from './outage.ts';

/** One life of a partition's core. */
export interface Core {
  step(event: PartitionEvent): PartitionEffect[];
  /** True when a commit-due event would make a commit. */
  isDirty(): boolean;
}

export interface DriverOptions {
  readonly partition: number;
  /** Makes the core of `life` 1, 2, …: a new one when the stream was made again. */
  readonly createCore: (life: number) => Core;
  /** Blobs that the core wants to load. */
  readonly isWanted: (name: string) => boolean;
  readonly store: CheckpointStore;
  readonly source: BatchSource;
  readonly gate: CommitGate;
  readonly outage: Outage;
  readonly log: Log;
  /** Another has committed to this partition: it is no longer ours. */
  readonly lost: () => void;
  /** Called at most once; the process must end. */
  readonly halt: (error: Error) => void;
}

const commitEveryMs = 1_000;
/** Batches that arrive together share a commit. */
const gatherMs = 15;
const retryFirstMs = 100;
const retryMaxMs = 2_000;

export class PartitionDriver {
  private core: Core;
  private life = 1;
  private loaded = false;
  private identity = '';
  private held: ReceivedBatch[] = [];
  private readonly unacknowledged = new Map<bigint, ReceivedBatch>();
  private timer: NodeJS.Timeout | undefined;
  private committing: Promise<void> | undefined;
  private committedAt = -Infinity;
  private retryMs = 0;
  private draining = false;
  private ended = false;
  private onStopped: (() => void) | undefined;

  constructor(private readonly options: DriverOptions) {
    this.core = options.createCore(this.life);
  }

  /** Loads the checkpoint, trying until the store answers, and begins to consume. */
  async start(): Promise<void> {
    await this.load();
    const { source, partition } = this.options;
    for (let waitMs = retryFirstMs; !this.ended; waitMs = Math.min(retryMaxMs, waitMs * 2)) {
      try {
        return await source.consume(partition, (m) => this.deliver(m));
      } catch (cause) {
        await this.sit(cause, waitMs);
      }
    }
  }

  /** Retention passes for hosts that no longer send, too. */
  tidy(): void {
    if (this.loaded && !this.ended && !this.committing && !this.timer)
      this.feed({ kind: 'commit-due', nowMs: Date.now() });
  }

  /** Commit as soon as there is anything, from now on. */
  drain(): void {
    this.draining = true;
    this.schedule();
  }

  /** Commits what is left; resolves when it is durable, or after `ms`. What is not durable then stays with the bus. */
  async stop(ms: number): Promise<void> {
    if (this.ended) return;
    this.draining = true;
    const stopped = new Promise<void>((resolve) => (this.onStopped = resolve));
    const late = new Promise<void>((resolve) => setTimeout(resolve, ms).unref());
    if (this.loaded) this.feed({ kind: 'stop', nowMs: Date.now() });
    else this.end();
    await Promise.race([stopped, late]);
    this.abandon();
  }

  /** Ends at once: the partition is another's. What is not durable goes back to the bus. */
  abandon(): void {
    this.end();
    this.options.source.release(this.options.partition);
    for (const message of [...this.unacknowledged.values(), ...this.held.splice(0)]) message.giveBack?.();
    this.unacknowledged.clear();
  }

  private async load(): Promise<void> {
    const { store, source, partition, outage, isWanted } = this.options;
    for (let waitMs = retryFirstMs; !this.ended; waitMs = Math.min(retryMaxMs, waitMs * 2)) {
      try {
        const identity = await source.streamIdentity();
        const checkpoint = await store.load(partition, isWanted);
        outage.worked();
        if (this.ended) return;
        this.identity = identity;
        this.loaded = true;
        this.feed({ kind: 'loaded', checkpoint, streamIdentity: identity, nowMs: Date.now() });
        for (const message of this.held.splice(0)) this.deliver(message);
        return;
      } catch (cause) {
        await this.sit(cause, waitMs);
      }
    }
  }

  /** Waits where trying again may help; ends the process where it cannot. */
  private async sit(cause: unknown, ms: number): Promise<void> {
    if (!(cause instanceof MusterError) || cause.disposition !== 'retry') return this.fail(cause);
    this.options.outage.failed(cause);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  private deliver(message: ReceivedBatch): void {
    if (this.ended) return;
    if (!this.loaded) {
      this.held.push(message);
      return;
    }
    if (message.streamIdentity !== this.identity) {
      this.reload(message);
      return;
    }
    this.unacknowledged.set(message.sequence, message);
    const { subject, payload, sequence, storedMs } = message;
    this.feed({ kind: 'batch', subject, payload, sequence, storedMs, nowMs: Date.now() });
  }

  /** The stream was made again: positions start anew, and what the old one held is gone. Begin from the checkpoint. */
  private reload(message: ReceivedBatch): void {
    this.loaded = false;
    this.held.push(message);
    this.unacknowledged.clear();
    clearTimeout(this.timer);
    this.timer = undefined;
    void (this.committing ?? Promise.resolve()).then(() => {
      this.core = this.options.createCore(++this.life);
      return this.load();
    });
  }

  private feed(event: PartitionEvent): void {
    let effects: PartitionEffect[];
    try {
      effects = this.core.step(event);
    } catch (cause) {
      this.fail(cause);
      return;
    }
    for (const effect of effects) this.perform(effect);
    this.schedule();
  }

  private perform(effect: PartitionEffect): void {
    const { source, log } = this.options;
    switch (effect.kind) {
      case 'ack':
        for (const sequence of effect.sequences) {
          this.unacknowledged.get(sequence)?.ack();
          this.unacknowledged.delete(sequence);
        }
        break;
      case 'commit':
        this.committing = this.commit(this.core, effect.request);
        break;
      case 'tell':
        source.tell(effect.subject, effect.payload);
        break;
      case 'log':
        log[effect.level](effect.fields, effect.message);
        break;
      case 'alarm':
        log.error({ alarm: true, ...effect.fields }, effect.message);
        break;
      case 'halt':
        if (effect.error.code === 'store/conflict') this.options.lost();
        else this.fail(effect.error);
        break;
      case 'stopped':
        this.onStopped?.();
        break;
    }
  }

  private async commit(core: Core, request: CommitRequest): Promise<void> {
    const { store, gate, outage } = this.options;
    this.committedAt = performance.now();
    let event: PartitionEvent;
    try {
      const outcome = await gate.run(() => store.commit(request));
      outage.worked();
      this.retryMs = 0;
      event =
        outcome.kind === 'committed'
          ? { kind: 'committed', nowMs: Date.now() }
          : { kind: 'conflict', found: outcome.found, nowMs: Date.now() };
    } catch (cause) {
      if (!(cause instanceof MusterError) || cause.disposition !== 'retry') return this.fail(cause);
      outage.failed(cause);
      this.retryMs = Math.min(retryMaxMs, Math.max(retryFirstMs, this.retryMs * 2));
      event = { kind: 'commit-failed', nowMs: Date.now() };
    }
    this.committing = undefined;
    // A core that was replaced meanwhile has no use for the outcome.
    if (core === this.core && this.loaded && !this.ended) this.feed(event);
  }

  private schedule(): void {
    if (this.timer || this.committing || this.ended || !this.loaded || !this.core.isDirty()) return;
    const sinceMs = performance.now() - this.committedAt;
    const dueMs = this.retryMs > 0 ? this.retryMs : Math.max(gatherMs, this.draining ? 0 : commitEveryMs - sinceMs);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (!this.ended && this.loaded) this.feed({ kind: 'commit-due', nowMs: Date.now() });
    }, dueMs);
  }

  private fail(cause: unknown): void {
    this.end();
    assert(cause !== undefined, 'an error without a cause');
    this.options.halt(cause instanceof Error ? cause : new Error(String(cause)));
  }

  private end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.onStopped?.();
  }
}
