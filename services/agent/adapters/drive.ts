/**
 * The agent's driver: performs the core's effects in order and hands back each result, reads on ticks that are aligned
 * to the interval, never overlap and skip what is late. One process, one thread: a step is never interrupted.
 */
import type { PinPerformer } from '../perform.ts';
import type { AgentEffect, AgentEvent, Instant } from '../effects.ts';
import { MusterError, describeCause } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { AgentBus } from '../../shared/runtime/ports/agent-bus.ts';
import type { PinnedTables } from '../../shared/runtime/ports/pinned-tables.ts';
import type { KeeperClient } from './keeper-client.ts';

export interface DriveOptions {
  readonly step: (event: AgentEvent) => AgentEffect[];
  readonly performer: PinPerformer;
  readonly tables: PinnedTables;
  readonly bus: AgentBus;
  readonly keeper: KeeperClient;
  /** Names for what is wanted, in that order; never rejects, and answers within seconds. */
  readonly names: (effect: Extract<AgentEffect, { kind: 'look-up' }>) => Promise<(string | undefined)[]>;
  readonly log: Log;
  readonly now: () => Instant;
  readonly intervalMs: number;
  /** Length of a period in which the kernel times the programs. */
  readonly measureSeconds: number;
  readonly subjects: { readonly resync: string; readonly durable: string; readonly refused: string };
}

export interface Driver {
  /** Resolves when the last read is published and confirmed, or after `boundMs`. */
  stop(boundMs: number): Promise<'confirmed' | 'timeout'>;
}

/** While stopping, what failed is tried again this often. */
const stopTickMs = 100;
/** Directories are listed this often, not at every tick: two system calls a probe. */
const listEveryMs = 3000;

export function drive(options: DriveOptions): Driver {
  const { performer, tables, bus, keeper, log, intervalMs } = options;
  /** Effects to perform, the next one last. */
  const todo: AgentEffect[] = [];
  let running = false;
  let timer: NodeJS.Timeout | undefined;
  let stopping = false;
  let ended: (() => void) | undefined;
  let listFailed = false;
  let busUp = true;
  let ticks = 0;
  const listEveryTicks = Math.max(1, Math.round(listEveryMs / intervalMs));

  const receive = (event: AgentEvent): void => {
    push(event);
    if (running) return;
    running = true;
    try {
      for (let effect = todo.pop(); effect; effect = todo.pop()) {
        const result = performer.perform(effect);
        if (result) push(result);
        else performOutside(effect);
      }
    } finally {
      running = false;
    }
  };
  const push = (event: AgentEvent): void => {
    const effects = options.step(event);
    for (let i = effects.length - 1; i >= 0; i--) todo.push(effects[i]!);
  };

  const performOutside = (effect: AgentEffect): void => {
    switch (effect.kind) {
      case 'publish': {
        const { token } = effect;
        bus.publish(effect.subject, effect.id, effect.payload).then(
          () => receive({ kind: 'published', token }),
          (cause: unknown) =>
            receive({
              kind: 'publish-failed',
              token,
              code: cause instanceof MusterError ? cause.code : 'bus/publish',
              reason: describeCause(cause),
            }),
        );
        return;
      }
      case 'wait-grace': {
        const { directory } = effect;
        tables.gracePeriod().then(
          () => receive({ kind: 'grace-passed', directory }),
          (cause: unknown) => receive({ kind: 'grace-failed', directory, reason: describeCause(cause) }),
        );
        return;
      }
      case 'look-up': {
        const { directory, wanted } = effect;
        void options.names(effect).then((names) => receive({ kind: 'named', directory, wanted, names }));
        return;
      }
      case 'retire': {
        const { directory } = effect;
        keeper.retire(effect.probe, effect.uuid).then(
          () => receive({ kind: 'retire-answered', directory, ok: true, reason: '' }),
          (cause: unknown) => receive({ kind: 'retire-answered', directory, ok: false, reason: describeCause(cause) }),
        );
        return;
      }
      case 'measure':
        keeper.measure(options.measureSeconds).then(
          (programs) => receive({ kind: 'measured', programs }),
          (cause: unknown) => receive({ kind: 'measure-failed', reason: describeCause(cause) }),
        );
        return;
      case 'alarm':
        log.error(
          {
            alarm: 'accuracy',
            lineage: effect.directory,
            table: effect.table,
            generation: String(effect.generation),
            seen: String(effect.seen),
            sum: String(effect.sum),
          },
          'ALARM: a sealed generation does not add up',
        );
        return;
      case 'log':
        log[effect.level](effect.fields, effect.message);
        return;
      case 'stopped':
        ended?.();
        return;
      default:
        return;
    }
  };

  const tick = (): void => {
    if (!stopping) schedule();
    if (ticks++ % listEveryTicks === 0) list();
    const up = bus.isUp?.() ?? true;
    if (up !== busUp) receive({ kind: 'bus', up: (busUp = up) });
    const { user, system } = process.cpuUsage();
    receive({ kind: 'tick', now: options.now(), cpuNs: BigInt(user + system) * 1000n });
  };

  const list = (): void => {
    try {
      const directories = tables.list();
      listFailed = false;
      receive({
        kind: 'found',
        directories,
        ended: tables.ended?.(directories) ?? [],
        detached: tables.detached?.(directories) ?? new Map(),
        missing: tables.missing?.() ?? [],
      });
    } catch (cause) {
      if (!listFailed) log.warn({ reason: describeCause(cause) }, 'pins cannot be listed; reading those that are open');
      listFailed = true;
    }
  };

  const schedule = (): void => {
    const now = Date.now();
    // A timer may fire a little early: that is this tick, not one before it.
    const next = (Math.floor((now + 5) / intervalMs) + 1) * intervalMs;
    timer = setTimeout(tick, next - now);
  };

  bus.subscribe(options.subjects.resync, (payload) => receive({ kind: 'resync', payload }));
  bus.subscribe(options.subjects.durable, (payload) => receive({ kind: 'durable', payload }));
  bus.subscribe(options.subjects.refused, (payload) => receive({ kind: 'refused', payload }));
  tick();

  return {
    stop(boundMs) {
      stopping = true;
      clearTimeout(timer);
      return new Promise((resolve) => {
        const repeat = setInterval(tick, stopTickMs);
        const end = (how: 'confirmed' | 'timeout'): void => {
          clearInterval(repeat);
          clearTimeout(bound);
          resolve(how);
        };
        const bound = setTimeout(() => end('timeout'), boundMs);
        ended = () => end('confirmed');
        // What was detached just now: the last read is to say so, for nothing comes after it.
        list();
        receive({ kind: 'stop' });
      });
    },
  };
}
