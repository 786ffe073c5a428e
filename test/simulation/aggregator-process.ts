/**
 * One aggregator process: the real core of each partition, over the simulated stream and store. It can be killed
 * between any two effects, paused so that another takes its place, and refused by the store's compare-and-set.
 */
import { noLimits } from '../../services/aggregator/merge/limits.ts';
import { createPartition, isWanted, step } from '../../services/aggregator/partition.ts';
import type { PartitionEffect, PartitionEvent } from '../../services/aggregator/protocol.ts';
import { decodeBatch, encodeBatch, type Batch } from '../../services/shared/contract/batch.ts';
import { wireNewest } from '../../services/shared/contract/wire.ts';
import type { CommitRequest } from '../../services/shared/runtime/ports/checkpoint-store.ts';
import type { World } from './world.ts';

export interface Delivery {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly sequence: number;
  readonly storedUs: number;
}

interface Running {
  readonly core: ReturnType<typeof createPartition>;
  /** The stream's identity when it was loaded; deliveries of another life are not its. */
  readonly identity: string;
}

const storeTimeoutUs = 1_000_000;

export class AggregatorProcess {
  dead = false;
  paused = false;
  /** Effects that are left before it dies; undefined: it lives. */
  effectsLeft: number | undefined;
  private readonly running = new Map<number, Running>();
  private readonly inbox: (() => void)[] = [];

  constructor(
    private readonly world: World,
    readonly name: string,
  ) {
    for (const partition of world.partitions)
      world.queue.after(world.random.between(1_000, 50_000), () => this.load(partition));
    world.queue.after(world.plan.commitEveryUs, () => this.tick());
  }

  consumes(partition: number): boolean {
    return this.running.has(partition);
  }

  private load(partition: number): void {
    if (this.dead) return;
    const { world } = this;
    if (this.paused || world.storeDown || world.busDown) {
      world.queue.after(500_000, () => this.load(partition));
      return;
    }
    const checkpoint = world.store.load(partition, isWanted);
    const { identity } = world.stream;
    world.trace(
      `${this.name} loads ${partition}: version ${checkpoint?.head.version ?? 'none'}${checkpoint?.fellBack ? ', fell back' : ''}${checkpoint?.damaged.length ? `, damaged ${checkpoint.damaged.join(' ')}` : ''}`,
    );
    this.running.set(partition, {
      core: createPartition({
        partition,
        nonce: `${this.name}-${partition}`,
        limits: { ...noLimits, perHost: world.plan.seriesPerHost },
      }),
      identity,
    });
    this.receive(partition, { kind: 'loaded', checkpoint, streamIdentity: identity, nowMs: world.aggregatorMs });
    if (world.random.chance(0.7)) world.stream.giveBack(partition);
    world.pump(partition);
  }

  private tick(): void {
    if (this.dead) return;
    const { world } = this;
    world.queue.after(world.plan.commitEveryUs, () => this.tick());
    if (this.paused) return;
    for (const [partition, { identity }] of this.running) {
      // The consumer is gone with its stream: the process starts again.
      if (identity !== world.stream.identity && !world.busDown) return this.crash('the stream was made anew');
      world.pump(partition);
      this.receive(partition, { kind: 'commit-due', nowMs: world.aggregatorMs });
      if (this.dead) return;
    }
  }

  deliver(partition: number, identity: string, d: Delivery): void {
    const { world } = this;
    if (this.running.get(partition)?.identity !== identity) return;
    this.receive(partition, {
      kind: 'batch',
      subject: d.subject,
      payload: asRead(d.payload, world.wireRead),
      sequence: BigInt(d.sequence),
      nowMs: world.aggregatorMs,
      storedMs: world.busMs(d.storedUs),
    });
  }

  private receive(partition: number, event: PartitionEvent): void {
    if (this.dead) return;
    if (this.paused) {
      this.inbox.push(() => this.receive(partition, event));
      return;
    }
    const running = this.running.get(partition);
    if (!running) return;
    for (const effect of step(running.core, event)) {
      if (this.effectsLeft !== undefined && --this.effectsLeft <= 0) return this.crash(`killed before ${effect.kind}`);
      this.perform(partition, running, effect);
      if (this.dead) return;
    }
  }

  private perform(partition: number, running: Running, effect: PartitionEffect): void {
    const { world } = this;
    switch (effect.kind) {
      case 'ack':
        if (!world.busDown)
          for (const sequence of effect.sequences) world.stream.ack(running.identity, partition, Number(sequence));
        return;
      case 'commit':
        this.commit(partition, effect.request);
        return;
      case 'tell':
        world.tracing?.(`${this.name} tells ${effect.subject}`);
        world.tell(effect.subject, effect.payload);
        return;
      case 'log':
        world.tracing?.(`${this.name}/${partition} ${effect.level}: ${effect.message} ${text(effect.fields)}`);
        return;
      case 'alarm':
        world.alarm(`${this.name}: ${effect.message} ${text(effect.fields)}`);
        return;
      case 'halt':
        this.crash(`halts: ${effect.error.what}`);
        return;
      case 'stopped':
        return;
    }
  }

  /** As the adapter does it: a lost reply is resolved by reading, and where that fails too, nothing is known. */
  private commit(partition: number, request: CommitRequest): void {
    const { world } = this;
    const { queue, random } = world;
    const answer = (event: PartitionEvent): void => this.receive(partition, event);
    const failed = (): void => answer({ kind: 'commit-failed', nowMs: world.aggregatorMs });
    if (world.storeDown) {
      queue.after(storeTimeoutUs, failed);
      return;
    }
    const arrivesUs = random.between(300, 2_000);
    if (random.chance(world.lateCommit)) {
      queue.after(storeTimeoutUs, failed);
      queue.after(storeTimeoutUs + random.below(1_500_000), () => {
        const outcome = world.store.commit(request);
        world.trace(`${this.name} late commit ${request.next.version} of ${partition}: ${outcome.kind}`);
      });
      return;
    }
    queue.after(arrivesUs, () => {
      if (world.storeDown) {
        queue.after(storeTimeoutUs, failed);
        return;
      }
      const outcome = world.store.commit(request);
      world.tracing?.(`${this.name} commits ${request.next.version} of ${partition}: ${outcome.kind}`);
      const resolve = (): void => {
        if (outcome.kind === 'committed') answer({ kind: 'committed', nowMs: world.aggregatorMs });
        else answer({ kind: 'conflict', found: outcome.found, nowMs: world.aggregatorMs });
      };
      if (!random.chance(world.lostReply)) {
        queue.after(random.between(300, 2_000), resolve);
        return;
      }
      queue.after(storeTimeoutUs, () => {
        if (world.storeDown || random.chance(0.4)) return failed();
        const head = world.store.head(partition);
        const found = head && { version: head.version, commitId: head.commitId };
        world.trace(`${this.name} resolves ${request.next.version} of ${partition}: found ${head?.version ?? 'none'}`);
        if (head?.commitId === request.next.commitId) answer({ kind: 'committed', nowMs: world.aggregatorMs });
        else if (found?.version === request.expected?.version && found?.commitId === request.expected?.commitId)
          failed();
        else answer({ kind: 'conflict', found, nowMs: world.aggregatorMs });
      });
    });
  }

  /** The process ends at once; whoever supervises it starts another. */
  crash(why: string): void {
    if (this.dead) return;
    this.dead = true;
    const { world } = this;
    world.trace(`${this.name} ends: ${why}`);
    world.aggregators = world.aggregators.filter((a) => a !== this);
    world.queue.after(world.random.between(100_000, 2_000_000), () => {
      if (world.aggregators.every((a) => a.dead || a.paused)) world.startAggregator();
    });
  }

  /** SIGSTOP; what was under way goes on outside, and is found on waking. */
  pause(us: number): void {
    this.paused = true;
    this.world.queue.after(us, () => {
      this.paused = false;
      if (this.dead) return;
      this.world.trace(`${this.name} wakes`);
      for (const go of this.inbox.splice(0)) go();
    });
  }
}

/** What an aggregator of a release before sees: a version beyond the newest it reads is one that today's does not read either. */
function asRead(payload: Uint8Array, newest: number): Uint8Array {
  if (newest === wireNewest) return payload;
  let batch: Batch;
  try {
    batch = decodeBatch(payload);
  } catch {
    return payload;
  }
  return batch.wireVersion > newest ? encodeBatch({ ...batch, wireVersion: batch.wireVersion + wireNewest }) : payload;
}

const text = (fields: object): string =>
  JSON.stringify(fields, (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v));
