/**
 * One simulated machine: its clocks, its lineages, the programs that count in them, and what is left after a reboot.
 * A program reads the slot, then writes the ledger, then the cell, and may be delayed between any two of these.
 */
import type { Instant } from '../../services/agent/effects.ts';
import type { ProbeModel } from './catalogue.ts';
import { load } from './loader-process.ts';
import type { EventQueue } from './event-queue.ts';
import { SimLineage, type PinFaults } from './pins.ts';
import type { Random } from './random.ts';

/** Why a lineage's newest counts may be gone for good: nobody can read them any more. */
export type Loss = 'reboot' | 'pins-removed';

/** What the loader is told to load: an upgrade is another tag, or another model too. */
export interface Program {
  readonly model: ProbeModel;
  /** 16 hex digits. */
  readonly tag: string;
}

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

  /** What is to count, in the order it is loaded. */
  readonly programs: Program[];
  /** Calls of the loader that are left before it dies; undefined: it lives. */
  loaderCallsLeft: number | undefined;
  clockStepped = false;

  constructor(
    readonly name: string,
    readonly cpus: number,
    probes: readonly ProbeModel[],
    private readonly queue: EventQueue,
    private readonly random: Random,
  ) {
    this.programs = probes.map((model) => ({ model, tag: this.newTag() }));
    this.boot();
    this.bringUp();
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

  newTag = (): string => hexOf(this.random.bytes(8));

  /** The loader's last step: programs that count from here on. */
  attach({ model, tag }: Program): SimLineage {
    const lineage = new SimLineage(model, hexOf(this.random.bytes(16)), this.bootId, this.cpus, this.now(), tag);
    this.lineages.set(lineage.directory, lineage);
    return lineage;
  }

  /** The loader starts, and is started again should it die: what counts is adopted, what does not is begun anew. */
  bringUp(): void {
    const { bootId } = this;
    try {
      for (const program of this.programs) load(this, program, () => this.loaderGate());
      this.loaderCallsLeft = undefined;
    } catch (error) {
      if (error !== loaderKilled) throw error;
      this.loaderCallsLeft = undefined;
      this.queue.after(this.random.between(200_000, 3_000_000), () => {
        if (this.bootId === bootId) this.bringUp();
      });
    }
  }

  private loaderGate(): void {
    if (this.loaderCallsLeft !== undefined && --this.loaderCallsLeft <= 0) throw loaderKilled;
  }

  /** Everything in memory is gone; programs attach again with the loader. */
  reboot(): void {
    for (const lineage of this.lineages.values()) this.lose(lineage, 'reboot');
    this.lineages.clear();
    this.boot();
    this.bringUp();
  }

  removePins(directory: string): void {
    const lineage = this.lineages.get(directory)!;
    this.lose(lineage, 'pins-removed');
    this.lineages.delete(directory);
    this.bringUp();
  }

  /** Another program takes over: the old one is detached in order, and its pins stay until they are retired. */
  upgrade(at: number, program: Program): void {
    this.programs[at] = program;
    this.bringUp();
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
      slot.finish(cpu, key, n, sum, race, lineage.secondOf(table, n, this.now()));
      return;
    }
    const beginUs = random.below(this.slownessUs);
    const finishUs = beginUs + random.below(this.slownessUs);
    lineage.busyUntilUs = Math.max(lineage.busyUntilUs, queue.nowUs + finishUs);
    queue.after(
      beginUs,
      lineage.running(() => slot.begin(cpu, n)),
    );
    queue.after(
      finishUs,
      lineage.running(() => slot.finish(cpu, key, n, sum, race, lineage.secondOf(table, n, this.now()))),
    );
  }
}

const loaderKilled = new Error('the loader is killed');

export const wallBaseNs = 1_800_000_000_000_000_000n;
