/**
 * The agent's core as data: what happened (events) and what is to be done (effects). The driver performs effects in
 * order and reports each result as an event; the simulator does the same against fakes. `directory` names a lineage
 * below the pin root. Effects on pins are performed at once by perform.ts; `publish`, `wait-grace` and `retire` end later.
 */
import type { MeasuredRuns } from './batch/compose.ts';
import type { NameWanted } from './labels/names.ts';
import type { ErrorCode } from '../shared/runtime/errors.ts';
import type { Missing } from '../shared/contract/lineage.ts';
import type { ProgramAccount, TableImage } from '../shared/runtime/ports/pinned-tables.ts';

/** Both clocks at one instant: CLOCK_BOOTTIME, which never steps, and Unix time. */
export interface Instant {
  readonly boottimeNs: bigint;
  readonly wallNs: bigint;
}

/** active: the slot that programs write. sealed: the other one, whose generation is over. */
export type SlotRole = 'active' | 'sealed';

/** A copy of one slot of all tables of a lineage. Its arrays are the driver's: the core keeps none of them. */
export interface LineageImage {
  readonly role: SlotRole;
  /** The control word before and after the copy; when they differ, the copy is discarded. */
  readonly control: bigint;
  readonly controlAfter: bigint;
  readonly readAt: Instant;
  /** By table, in schema order. */
  readonly tables: readonly TableImage[];
  /** Key entries (mark, words) of rows keysFrom[t]…rowsIssued of each table; empty when there are none. */
  readonly keys: readonly Uint8Array[];
  readonly keysFrom: readonly number[];
  readonly programs: readonly ProgramAccount[];
  readonly retired: BigUint64Array;
  /** The governor word (contract/control.ts). */
  readonly governed?: bigint;
  /** By what programs told the second, and CLOCK_BOOTTIME after the copy; absent where no table is kept by second. */
  readonly clock?: { readonly offsetNs: bigint; readonly copiedBoottimeNs: bigint };
}

export interface MeasuredProgram extends MeasuredRuns {
  /** Of its lineage, 32 hex digits. */
  readonly uuid: string;
  readonly program: string;
}

export type AgentEvent =
  /** All directories below the pin root, and of them the ended ones: before the first tick, and every few seconds. */
  | {
      readonly kind: 'found';
      readonly directories: readonly string[];
      readonly ended?: readonly string[];
      readonly detached?: ReadonlyMap<string, bigint>;
      /** Probes that could not be loaded. */
      readonly missing?: readonly Missing[];
    }
  | {
      readonly kind: 'opened';
      readonly directory: string;
      readonly metaJson: string;
      /** Whether this process holds the seal lock; read before control and retired. */
      readonly locked: boolean;
      readonly control: bigint;
      readonly retired: BigUint64Array;
    }
  | { readonly kind: 'open-failed'; readonly directory: string; readonly reason: string }
  /** cpuNs: CPU time of this process, where it is known. */
  | { readonly kind: 'tick'; readonly now: Instant; readonly cpuNs?: bigint }
  | { readonly kind: 'image'; readonly directory: string; readonly image: LineageImage }
  /** An effect on pins threw; the lineage goes on with the next tick. */
  | {
      readonly kind: 'pins-failed';
      readonly directory: string;
      readonly effect: AgentEffect['kind'];
      readonly reason: string;
    }
  | { readonly kind: 'published'; readonly token: number }
  | { readonly kind: 'publish-failed'; readonly token: number; readonly code: ErrorCode; readonly reason: string }
  /** The connection of the bus went down or came back; up until told otherwise. */
  | { readonly kind: 'bus'; readonly up: boolean }
  /** Bytes of the messages on the host's resync, durable and refused subjects; decoded by the core. */
  | { readonly kind: 'resync'; readonly payload: Uint8Array }
  | { readonly kind: 'durable'; readonly payload: Uint8Array }
  | { readonly kind: 'refused'; readonly payload: Uint8Array }
  /** Every program that ran when `wait-grace` was performed has ended. */
  | { readonly kind: 'grace-passed'; readonly directory: string }
  | { readonly kind: 'grace-failed'; readonly directory: string; readonly reason: string }
  /** ok: the word was the expected one and is now the new one. Else nothing was stored; `found` stands there. */
  | { readonly kind: 'control-written'; readonly directory: string; readonly ok: boolean; readonly found: bigint }
  | { readonly kind: 'retired-written'; readonly directory: string }
  | { readonly kind: 'slot-checked'; readonly directory: string; readonly slot: 0 | 1; readonly empty: boolean }
  | {
      readonly kind: 'lock';
      readonly directory: string;
      readonly held: boolean;
      readonly control: bigint;
      readonly retired: BigUint64Array;
    }
  /** The keeper's answer to `retire`. */
  | { readonly kind: 'retire-answered'; readonly directory: string; readonly ok: boolean; readonly reason: string }
  /** To `account`: a byte for each that was taken up, in that order. */
  | { readonly kind: 'accounted'; readonly directory: string; readonly answers: Uint8Array }
  /** What the kernel timed in a period that `measure` asked for. */
  | { readonly kind: 'measured'; readonly programs: readonly MeasuredProgram[] }
  | { readonly kind: 'measure-failed'; readonly reason: string }
  /** The names that were wanted, in that order; undefined where there is none. */
  | {
      readonly kind: 'named';
      readonly directory: string;
      readonly wanted: readonly NameWanted[];
      readonly names: readonly (string | undefined)[];
    }
  /** Read and publish a last time, then `stopped`. Ticks go on in between. */
  | { readonly kind: 'stop' };

export type AgentEffect =
  /** Open the pins and try the seal lock. → opened | open-failed */
  | { readonly kind: 'open'; readonly directory: string }
  /** Copy a slot: of role active, the one that the control word names then. → image | pins-failed */
  | { readonly kind: 'read'; readonly directory: string; readonly role: SlotRole; readonly keysFrom: readonly number[] }
  /** → published | publish-failed, exactly one of them */
  | {
      readonly kind: 'publish';
      readonly directory: string;
      readonly subject: string;
      readonly id: string;
      readonly payload: Uint8Array;
      readonly token: number;
    }
  /** Compare, then one 64-bit store, under the lock. → control-written */
  | { readonly kind: 'write-control'; readonly directory: string; readonly expected: bigint; readonly word: bigint }
  /** Set the clock by which programs tell seconds. No event. */
  | { readonly kind: 'write-clock'; readonly directory: string; readonly offsetNs: bigint }
  /** → retired-written */
  | { readonly kind: 'write-retired'; readonly directory: string; readonly words: BigUint64Array }
  /** → grace-passed | grace-failed, later */
  | { readonly kind: 'wait-grace'; readonly directory: string }
  /** Zero a slot of every table, then `check-slot` follows as an effect of its own. No event. */
  | { readonly kind: 'clear-slot'; readonly directory: string; readonly slot: 0 | 1 }
  /** Is the slot empty in every table? → slot-checked */
  | { readonly kind: 'check-slot'; readonly directory: string; readonly slot: 0 | 1 }
  /** → lock */
  | { readonly kind: 'request-lock'; readonly directory: string }
  /** Names for numbers in the keys of a lineage. → named, later, whatever happens */
  | {
      readonly kind: 'look-up';
      readonly directory: string;
      readonly probe: string;
      readonly uuid: string;
      readonly wanted: readonly NameWanted[];
    }
  /** Ask the keeper to remove an ended lineage's pins. → retire-answered, later */
  | { readonly kind: 'retire'; readonly directory: string; readonly probe: string; readonly uuid: string }
  | { readonly kind: 'close'; readonly directory: string }
  /** Lay accounts (contract/accounts.ts) into the inbox and have them counted. → accounted | pins-failed */
  | {
      readonly kind: 'account';
      readonly directory: string;
      readonly accounts: Uint8Array;
      readonly count: number;
    }
  /** Have the kernel time all programs for a moment. → measured | measure-failed, later */
  | { readonly kind: 'measure' }
  /** An equation of the counting protocol does not hold: shown, and counted by the aggregator from the same batch. */
  | {
      readonly kind: 'alarm';
      readonly directory: string;
      readonly table: string;
      readonly generation: bigint;
      readonly seen: bigint;
      readonly sum: bigint;
    }
  | {
      readonly kind: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly fields: Readonly<Record<string, unknown>>;
      readonly message: string;
    }
  /** Nothing is left to do: the process may end. */
  | { readonly kind: 'stopped' };
