/**
 * What goes into a partition's core and what comes out: data only. The driver performs the effects in their order;
 * the simulator does the same against a hostile world.
 *
 * Order that keeps the counts exact: merge → commit → (committed) → ack, durable. Nothing is acknowledged, and no
 * generation announced as durable, before the checkpoint that holds it.
 */
import type { SeriesLimits } from './merge/limits.ts';
import type { CommitRequest, LoadedCheckpoint } from '../shared/runtime/ports/checkpoint-store.ts';
import type { MusterError } from '../shared/runtime/errors.ts';

export interface PartitionConfig {
  readonly partition: number;
  /** Unique to this process and partition: commit ids are made from it. */
  readonly nonce: string;
  /** Series taken; absent: any number. */
  readonly limits?: SeriesLimits;
}

export type PartitionEvent =
  /** Always the first. `checkpoint` undefined: the store knows nothing of this partition. */
  | {
      readonly kind: 'loaded';
      readonly checkpoint: LoadedCheckpoint | undefined;
      readonly streamIdentity: string;
      readonly nowMs: number;
    }
  /** `storedMs` is the bus's clock; nowMs stands in where it is unknown. */
  | {
      readonly kind: 'batch';
      readonly subject: string;
      readonly payload: Uint8Array;
      readonly sequence: bigint;
      readonly nowMs: number;
      readonly storedMs?: number;
    }
  /** Commit now if there is anything to commit and no commit is under way. */
  | { readonly kind: 'commit-due'; readonly nowMs: number }
  | { readonly kind: 'committed'; readonly nowMs: number }
  | {
      readonly kind: 'conflict';
      readonly found: { readonly version: bigint; readonly commitId: string } | undefined;
      readonly nowMs: number;
    }
  /** Rejected, or its outcome is unknown: the same changes go into the next commit. */
  | { readonly kind: 'commit-failed'; readonly nowMs: number }
  /** Commit what is left; `stopped` follows when all is durable, or at once when nothing is left. */
  | { readonly kind: 'stop'; readonly nowMs: number };

export type PartitionEffect =
  /** These messages are durable in a checkpoint (or need not be): the stream may forget them. */
  | { readonly kind: 'ack'; readonly sequences: readonly bigint[] }
  /** Answer with committed, conflict or commit-failed. Never two at once. */
  | { readonly kind: 'commit'; readonly request: CommitRequest }
  /** A core message (resync, refused, durable): at most once, nobody need listen. */
  | { readonly kind: 'tell'; readonly subject: string; readonly payload: Uint8Array }
  | {
      readonly kind: 'log';
      readonly level: 'debug' | 'info' | 'warn';
      readonly fields: object;
      readonly message: string;
    }
  /** An equation that must hold does not. */
  | { readonly kind: 'alarm'; readonly fields: object; readonly message: string }
  /** This partition must not go on; the process stops. */
  | { readonly kind: 'halt'; readonly error: MusterError }
  | { readonly kind: 'stopped' };
