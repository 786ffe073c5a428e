/**
 * One simulated machine: its clocks, its lineages, the programs that count in them, and what is left after a reboot.
 * A program reads the slot, then writes the ledger, then the cell, and may be delayed between any two of these.
 */
import type { Instant } from '../../services/agent/effects.ts';
import type { ProbeModel } from './catalogue.ts';
import type { EventQueue } from './event-queue.ts';
import { SimLineage, type PinFaults } from './pins.ts';
import type { Random } from './random.ts';

/** Why a lineage's newest counts may be gone for good: nobody can read them any more. */
export type Loss = 'reboot' | 'pins-removed';

export interface PastLineage {
  readonly lineage: SimLineage;
  /** Undefined: detached in order, and read to its end before it was retired. */
  readonly loss: Loss | undefined;
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export class SimHost {
  readonly lineages = new Map<string, SimLineage>();
  readonly past: PastLineage[] = [];
  bootId = '';
  wallOffsetUs = 0;
  private bootedAtUs = 0;
  /** By how much programs may be held up between two of their steps. */
  slownessUs = 3_000;
  readonly pinFaults: PinFaults = { clearLeaves: 0 };

  constructor(
    readonly name: string,
    readonly cpus: number,
    private readonly probes: readonly ProbeModel[],
    private readonly queue: EventQueue,
    private readonly random: Random,
  ) {
    this.boot();
    for (const probe of probes) this.attach(probe);
  }

  /** Virtual time 0 is some day in 2026. */
  now(): Instant {
    const us = this.queue.nowUs;
    return {
      boottimeNs: BigInt(us - this.bootedAtUs) * 1000n,
      wallNs: BigInt(us + this.wallOffsetUs) * 1000n + wallBaseNs,
    };
  }

  private boot(): void {
    this.bootId = hexOf(this.random.bytes(16));
    this.bootedAtUs = this.queue.nowUs - 5_000_000;
  }

  attach(model: ProbeModel): SimLineage {
    const lineage = new SimLineage(model, hexOf(this.random.bytes(16)), this.bootId, this.cpus, this.now());
    this.lineages.set(lineage.directory, lineage);
    return lineage;
  }

  /** Everything in memory is gone; programs attach again with the loader. */
  reboot(): void {
    for (const lineage of this.lineages.values()) this.lose(lineage, 'reboot');
    this.lineages.clear();
    this.boot();
    for (const probe of this.probes) this.attach(probe);
  }

  removePins(directory: string): void {
    const lineage = this.lineages.get(directory)!;
    this.lose(lineage, 'pins-removed');
    this.lineages.delete(directory);
    this.attach(lineage.model);
  }

  /** A new program takes over: the old one is detached in order, and its pins stay until they are retired. */
  upgrade(directory: string): void {
    const old = this.lineages.get(directory)!;
    old.attached = false;
    old.detachedWallNs = this.now().wallNs;
    // The loader attaches the new one when no program of the old one runs any more.
    const { bootId } = this;
    this.queue.at(old.busyUntilUs + 20_000, () => {
      if (this.bootId === bootId) this.attach(old.model);
    });
  }

  /** The keeper's part: pins of a lineage that is read to its end. False while it counts. */
  retire(directory: string): boolean {
    const lineage = this.lineages.get(directory);
    if (!lineage || lineage.attached) return false;
    this.lineages.delete(directory);
    this.past.push({ lineage, loss: undefined });
    return true;
  }

  private lose(lineage: SimLineage, loss: Loss): void {
    lineage.attached = false;
    this.past.push({ lineage, loss });
  }

  /** One program runs `n` events of one key. */
  event(lineage: SimLineage, table: number, key: number, n: number, sum: number): void {
    if (!lineage.attached) return;
    const { random, queue } = this;
    const slot = lineage.slots[table]![Number(lineage.control & 1n)]!;
    const cpu = random.below(this.cpus);
    const race = random.chance(0.02);
    if (random.chance(0.8)) {
      slot.begin(cpu, n);
      slot.finish(cpu, key, n, sum, race);
      return;
    }
    const beginUs = random.below(this.slownessUs);
    const finishUs = beginUs + random.below(this.slownessUs);
    lineage.busyUntilUs = Math.max(lineage.busyUntilUs, queue.nowUs + finishUs);
    queue.after(beginUs, () => slot.begin(cpu, n));
    queue.after(finishUs, () => slot.finish(cpu, key, n, sum, race));
  }
}

export const wallBaseNs = 1_800_000_000_000_000_000n;
