/**
 * One agent process in the simulated world: the real core and the real performer of effects on pins. It can be killed
 * at any call of a port, paused between any two effects, and holds the seal locks as long as it lives.
 */
import { createAgent, step } from '../../services/agent/agent.ts';
import type { AgentState } from '../../services/agent/agent-state.ts';
import type { AgentEffect, AgentEvent } from '../../services/agent/effects.ts';
import { createPinPerformer, type PinPerformer } from '../../services/agent/perform.ts';
import type { PinnedTables } from '../../services/shared/runtime/ports/pinned-tables.ts';
import type { SimHost } from './host.ts';
import { createPins } from './pins.ts';
import type { Machine, World } from './world.ts';

class Killed extends Error {}

/** Ticks between two looks at which lineages there are. */
const listEvery = 2;

export class AgentProcess {
  dead = false;
  /** Calls of a port that are left before it dies; undefined: it lives. */
  callsLeft: number | undefined;
  /** Calls of a port that fail, from now on. */
  failingCalls = 0;
  stopped = false;
  private ticks = 0;
  readonly host: SimHost;
  private paused = false;
  private readonly inbox: AgentEvent[] = [];
  /** Effects still to be performed, the next one last. */
  private readonly todo: AgentEffect[] = [];
  private readonly core: AgentState;
  private readonly performer: PinPerformer;
  private readonly pins: PinnedTables;

  constructor(
    private readonly world: World,
    private readonly machine: Machine,
    readonly startId: string,
    wireVersion: number,
  ) {
    const host = machine.host;
    this.host = host;
    const { random } = world;
    this.pins = createPins(host.lineages, this, (call) => this.gate(call), host.pinFaults, random);
    this.performer = createPinPerformer(this.pins, () => host.now());
    this.core = createAgent({
      host: host.name,
      hostLabels: { role: 'web' },
      kernelRelease: '6.1.0',
      machine: 'x86_64',
      startId,
      intervalNs: BigInt(machine.intervalUs) * 1000n,
      wireVersion,
      limits: world.plan.limits,
    });
    world.queue.after(random.below(200_000), () => this.tick());
  }

  private gate(call: string): void {
    if (this.callsLeft !== undefined && --this.callsLeft <= 0) {
      this.world.trace(`${this.startId} dies at ${call}`);
      this.kill();
      throw new Killed();
    }
    if (this.failingCalls > 0 && call !== 'tryLock' && this.world.random.chance(0.3)) {
      this.failingCalls--;
      throw new Error(`${call}: Input/output error`);
    }
  }

  private tick(): void {
    if (this.dead) return;
    this.world.queue.after(this.machine.intervalUs, () => this.tick());
    if (this.paused) return;
    if (this.ticks++ % listEvery === 0) {
      let directories: string[];
      try {
        directories = this.pins.list();
      } catch {
        this.ticks = 0;
        return;
      }
      const detached = new Map<string, bigint>();
      for (const { directory, detachedWallNs } of this.host.lineages.values())
        if (detachedWallNs !== undefined) detached.set(directory, detachedWallNs);
      this.receive({ kind: 'found', directories, detached });
    }
    this.receive({ kind: 'tick', now: this.host.now() });
  }

  /** Something happened: the core decides, and its effects are performed at once, in order. */
  receive(event: AgentEvent): void {
    if (this.dead) return;
    if (this.paused) {
      this.inbox.push(event);
      return;
    }
    this.step(event);
    this.run();
  }

  private step(event: AgentEvent): void {
    const effects = step(this.core, event);
    for (let i = effects.length - 1; i >= 0; i--) this.todo.push(effects[i]!);
  }

  private run(): void {
    while (this.todo.length > 0 && !this.dead && !this.paused) {
      const effect = this.todo.pop()!;
      const event = this.performer.perform(effect);
      if (this.dead) return;
      if (event) this.step(event);
      else this.performOutside(effect);
      if (this.world.pauseSoon === this) this.pause();
    }
  }

  private performOutside(effect: AgentEffect): void {
    const { world } = this;
    switch (effect.kind) {
      case 'publish': {
        const { token } = effect;
        world.tracing?.(`${this.startId} publishes ${effect.id}`);
        world.publish(this.machine, effect.subject, effect.id, effect.payload, (code) =>
          this.receive(code ? { kind: 'publish-failed', token, code, reason: code } : { kind: 'published', token }),
        );
        return;
      }
      case 'wait-grace': {
        const { directory } = effect;
        const lineage = this.host.lineages.get(directory);
        const us = Math.max(0, (lineage?.busyUntilUs ?? 0) - world.queue.nowUs) + world.random.between(5_000, 95_000);
        world.queue.after(us, () =>
          this.receive(
            world.random.chance(0.02)
              ? { kind: 'grace-failed', directory, reason: 'EPERM' }
              : { kind: 'grace-passed', directory },
          ),
        );
        return;
      }
      case 'retire': {
        const { directory } = effect;
        world.queue.after(world.random.between(1_000, 20_000), () => {
          if (this.dead) return;
          const ok = this.host.retire(directory);
          world.trace(`${this.startId} retires ${directory}: ${ok}`);
          this.receive({ kind: 'retire-answered', directory, ok, reason: ok ? '' : 'attached' });
        });
        return;
      }
      case 'alarm':
        world.alarm(
          `${this.startId}: ${effect.table} generation ${effect.generation}: seen ${effect.seen}, rows ${effect.sum}`,
        );
        return;
      case 'log':
        // The agent's errors are broken equations and pins that nobody may have touched: none is due to a fault here.
        if (effect.level === 'error')
          world.alarm(`${this.startId}: ${effect.message} ${JSON.stringify(effect.fields)}`);
        else world.tracing?.(`${this.startId} ${effect.level}: ${effect.message} ${JSON.stringify(effect.fields)}`);
        return;
      case 'stopped':
        this.stopped = true;
        this.kill();
        return;
      default:
        return;
    }
  }

  /** SIGKILL: locks fall, nothing is said. */
  kill(): void {
    this.dead = true;
    for (const lineage of this.host.lineages.values()) if (lineage.lockedBy === this) lineage.lockedBy = undefined;
    for (const { lineage } of this.host.past) if (lineage.lockedBy === this) lineage.lockedBy = undefined;
  }

  /** SIGSTOP, between two effects. */
  pause(): void {
    this.paused = true;
    if (this.world.pauseSoon === this) this.world.pauseSoon = undefined;
    this.world.queue.after(this.world.random.between(500_000, 8_000_000), () => {
      this.paused = false;
      this.world.trace(`${this.startId} goes on`);
      if (this.dead) return;
      this.run();
      for (const event of this.inbox.splice(0)) this.receive(event);
    });
  }
}
