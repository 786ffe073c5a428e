/**
 * The partitions that this process works on: taken and given up as the leases say, each with a driver of its own. A
 * partition that is lost costs the process nothing else; what it had not committed comes again to the new owner.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeCause, MusterError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { LeaseView, PartitionLeases } from '../../shared/runtime/ports/partition-leases.ts';
import type { PartitionDriver } from './partition-driver.ts';

export interface PartitionSetOptions {
  readonly leases: PartitionLeases;
  readonly renewEveryMs: number;
  readonly createDriver: (partition: number) => PartitionDriver;
  readonly log: Log;
  /** Called when this process must end. */
  readonly fail: (error: unknown) => void;
}

/** Bounds of giving a partition up: its last checkpoint. */
const giveUpMs = 5_000;

export class PartitionSet {
  private readonly drivers = new Map<number, PartitionDriver>();
  private readonly leaving = new Set<number>();
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private renewing: Promise<void> | undefined;
  /** Members at the last look, this one included. */
  members = 1;

  constructor(private readonly options: PartitionSetOptions) {}

  get size(): number {
    return this.drivers.size;
  }

  /** Takes what is free and starts; resolves when those partitions are consumed. */
  async start(): Promise<void> {
    const view = await this.options.leases.renew([]);
    // Loading may take longer than a lease lasts, and for as long as the store is away: the renewals go on meanwhile.
    this.later();
    if (view && !this.stopped) await this.follow(view);
  }

  /** Retention passes for hosts that no longer send, too. */
  tidy(): void {
    for (const driver of this.drivers.values()) driver.tidy();
  }

  drain(): void {
    for (const driver of this.drivers.values()) driver.drain();
  }

  /** Writes the last checkpoints, then lets others have the partitions. */
  async stop(ms: number): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.renewing;
    await Promise.all([...this.drivers.values()].map((driver) => driver.stop(ms)));
    await Promise.race([this.options.leases.leave().catch(() => undefined), sleep(ms)]);
  }

  /** Another committed to a partition of ours: it is theirs now. The next renewal says whether it still is. */
  lose(partition: number): void {
    const driver = this.drivers.get(partition);
    if (!driver) return;
    this.options.log.warn({ partition }, 'another aggregator has committed to this partition: given up');
    this.drivers.delete(partition);
    driver.abandon();
    this.options.leases.release([partition]).catch(() => undefined);
  }

  private later(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.renewing = this.renew().finally(() => this.later());
    }, this.options.renewEveryMs);
  }

  private async renew(): Promise<void> {
    const { leases, log, fail } = this.options;
    let view: LeaseView | undefined;
    try {
      view = await leases.renew([...this.drivers.keys()]);
    } catch (cause) {
      // While the store is away nothing is committed and nothing acknowledged; whoever holds on harms nobody.
      log.debug({ reason: describeCause(cause) }, 'cannot renew the lease; holding on');
      return;
    }
    if (this.stopped) return;
    // Not awaited: what is taken may be long in loading, and neither the next renewal nor the stop waits for that.
    if (view) return void this.follow(view).catch(fail);
    fail(new MusterError('store/superseded', 'renew the lease: a newer aggregator goes by the same name'));
  }

  private async follow(view: LeaseView): Promise<void> {
    const { createDriver, leases, log, fail } = this.options;
    if (view.members !== this.members)
      log.info({ members: view.members, held: view.held.length }, 'aggregators changed');
    this.members = view.members;
    const held = new Set(view.held);
    for (const [partition, driver] of this.drivers) {
      if (held.has(partition)) continue;
      this.drivers.delete(partition);
      driver.abandon();
      log.info({ partition }, 'partition is with another aggregator now');
    }
    const taken: PartitionDriver[] = [];
    for (const partition of view.held) {
      if (this.drivers.has(partition) || this.leaving.has(partition)) continue;
      const driver = createDriver(partition);
      this.drivers.set(partition, driver);
      taken.push(driver);
    }
    for (const partition of [...view.held].reverse().slice(0, view.surplus)) {
      const driver = this.drivers.get(partition);
      if (!driver) continue;
      this.drivers.delete(partition);
      this.leaving.add(partition);
      const given = driver.stop(giveUpMs).then(() => leases.release([partition]));
      given
        .catch(() => undefined)
        .finally(() => this.leaving.delete(partition))
        .catch(fail);
    }
    await Promise.all(taken.map((driver) => driver.start()));
  }
}
