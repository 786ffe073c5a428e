/** A kind of fault, and what one of it did. */
import type { Random } from '../../simulation/random.ts';
import type { World } from '../world.ts';

export interface Fault {
  readonly kind: string;
  /** One process dies and nothing else happens: exact again within 5 s is what is promised. */
  readonly crash?: boolean;
  /** History that is only in the store may be gone; then it must be counted as lost. */
  readonly mayLose?: boolean;
  /** After it at least one span must be declared unknown. */
  readonly declaresUnknown?: boolean;
  /** Variants that it takes in turn: so often at least is it wanted in a run that counts. */
  readonly variants?: number;
  /** Longest time until exact again; absent: the run's. */
  readonly withinMs?: number;
  /** Undefined: it could not be done this time, and counts as not done. */
  inflict(world: World, random: Random): Promise<Inflicted | undefined>;
}

export interface Inflicted {
  /** What exactly, for a person. */
  readonly what: string;
  /** performance.now() when the trouble was over; for a crash, when the process died. */
  readonly endedAt: number;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
export const over = (what: string): Inflicted => ({ what, endedAt: performance.now() });
