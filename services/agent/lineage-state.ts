/**
 * What the agent holds of one lineage. All of it can be lost: the pins hold the truth, and a restarted agent adopts
 * whatever state they are in (sealing.ts).
 */
import type { LineageRef } from '../shared/contract/batch.ts';
import type { Control } from '../shared/contract/control.ts';
import type { LineageMeta } from '../shared/contract/lineage.ts';
import type { ProgramAccount } from '../shared/runtime/ports/pinned-tables.ts';
import { createTableRows, type TableRows } from './kernel/table-rows.ts';
import type { LineageImage } from './effects.ts';
import { decodersOf, namesNeededBy, type NamesNeeded } from './labels/decoders.ts';
import type { DecodeContext, Decoder } from './labels/meaning.ts';
import type { MeasuredRuns } from './batch/compose.ts';
import { NameBook } from './labels/names.ts';
import { createSentRows, type SentRows } from './batch/changed-rows.ts';
import { createInFlight, type InFlight } from './bus/in-flight.ts';

/**
 * What is being done about the slot that is not active. The control word's state, in brackets, is the durable part:
 *
 *   unlocked     another process holds the lock: read and publish, nothing else
 *   checking     [counting] looking whether the other slot is empty          → ready | blocked
 *   ready        [counting] may seal                                         → flipping
 *   blocked      [counting] the other slot holds counts: never seal, alarm
 *   flipping     [counting] word being written                               → grace
 *   grace        [sealing]  waiting until no program writes the old slot     → marking
 *   marking      [sealing]  word being written                               → reading
 *   reading      [sealed]   the final image is wanted                        → confirming
 *   confirming   [sealed]   the final batch is with the bus                  → durable | reading
 *   durable      [sealed]   waiting for the aggregator's checkpoint          → recording | reading
 *   recording    [sealed]   retired sums being written                       → releasing
 *   releasing    [sealed]   word being written                               → clearing
 *   clearing     [clearing] zeroing and verifying                            → reopening | lost
 *   reopening    [clearing] word being written                               → ready
 *   lost         an effect failed: adopt what the pins say, at a later tick
 *   broken       the control word is none of ours: keep off
 */
export type Phase =
  | 'unlocked'
  | 'checking'
  | 'ready'
  | 'blocked'
  | 'flipping'
  | 'grace'
  | 'marking'
  | 'reading'
  | 'confirming'
  | 'durable'
  | 'recording'
  | 'releasing'
  | 'clearing'
  | 'reopening'
  | 'lost'
  | 'broken';

/** In these the active slot waits, so that a generation's final batch goes before the first of the next one. */
export const holdsActiveReads = (phase: Phase): boolean =>
  phase === 'flipping' ||
  phase === 'grace' ||
  phase === 'marking' ||
  phase === 'reading' ||
  phase === 'confirming' ||
  phase === 'broken';

/** One generation as read and sent by this process. */
export interface GenerationRows {
  readonly generation: bigint;
  readonly tables: readonly TableRows[];
  readonly sent: readonly SentRows[];
  keyframeDue: boolean;
  keyframeAtNs: bigint;
  /** First read, and the last look for idle rows; undefined before the first read. */
  startedAtNs: bigint | undefined;
  idleCheckedAtNs: bigint;
}

export interface LineageState {
  readonly directory: string;
  readonly meta: LineageMeta;
  ref: LineageRef;
  readonly schemaJson: string;
  /** By table: decoders of its labels. */
  readonly decoders: readonly (readonly Decoder[])[];
  /** By table: the names that its labels need; undefined where they need none. */
  readonly namesNeeded: readonly (NamesNeeded | undefined)[];
  readonly names: NameBook;
  /** An image whose rows wait for names. */
  naming: { readonly generation: GenerationRows; readonly image: LineageImage } | undefined;
  readonly inFlight: InFlight;
  /** False after the clock by which programs tell seconds was set anew: until a whole read lies behind. */
  clockSteady: boolean;
  /** Its programs as of the newest image. */
  programs: readonly ProgramAccount[];
  /** By program, the newest measured period. */
  measured: ReadonlyMap<string, MeasuredRuns>;
  held: boolean;
  phase: Phase;
  /** When this process last ended a generation; long ago if it never did. */
  flippedAtNs: bigint;
  control: Control;
  controlWord: bigint;
  active: GenerationRows;
  /** The sealed slot's rows, from the flip until its final batch is confirmed. */
  sealed: GenerationRows | undefined;
  /** `seen` by table of the sealed generation once it was read; until its retired record is written. */
  sealedSeen: readonly bigint[] | undefined;
  /** Pinned retired words, and the record that is valid in them, by table. */
  retiredWords: BigUint64Array;
  retiredSeen: readonly bigint[];
  /** Messages of the sealed generation's final batch that are not confirmed. */
  readonly finalTokens: Set<number>;
  finalConfirmedAtNs: bigint;
  /** Highest generation that the aggregator called durable. */
  durableThrough: bigint;
  /** A read was asked for and has not been answered. */
  readPending: boolean;
  lockRetryAtNs: bigint;
  /** Its probe was unloaded. */
  unloaded: boolean;
  /** Unloaded, or a newer lineage of the probe exists: seal what is left, then have the pins removed. */
  ended: boolean;
  retireAtNs: bigint;
  retireRefused: boolean;
  /** The directory is gone, or the agent stops: one last read. */
  gone: boolean;
  last: 'no' | 'wanted' | 'sent' | 'done';
}

export const createGeneration = (generation: bigint, meta: LineageMeta): GenerationRows => ({
  generation,
  tables: meta.tables.map(createTableRows),
  sent: meta.tables.map(createSentRows),
  keyframeDue: true,
  keyframeAtNs: 0n,
  startedAtNs: undefined,
  idleCheckedAtNs: 0n,
});

export function createLineage(directory: string, meta: LineageMeta, context: DecodeContext): LineageState {
  const names = new NameBook();
  return {
    directory,
    meta,
    ref: {
      probe: meta.probe,
      uuid: bytesOfHex(meta.uuid),
      bootId: bytesOfHex(meta.bootId),
      createdBoottimeNs: BigInt(meta.createdBoottimeNs),
      createdWallNs: BigInt(meta.createdWallNs),
      detachedWallNs: 0n,
      schemaHash: BigInt(`0x${meta.schemaHash}`),
    },
    schemaJson: JSON.stringify(meta.tables),
    decoders: meta.tables.map((t) => decodersOf(t.labels, { ...context, nameOf: names.nameOf })),
    namesNeeded: meta.tables.map((t) => namesNeededBy(t.labels)),
    names,
    naming: undefined,
    inFlight: createInFlight(),
    clockSteady: true,
    programs: [],
    measured: new Map(),
    held: false,
    phase: 'lost',
    flippedAtNs: -(1n << 62n),
    control: { slot: 0, state: 'counting', generation: 1n },
    controlWord: 0n,
    active: createGeneration(0n, meta),
    sealed: undefined,
    sealedSeen: undefined,
    retiredWords: new BigUint64Array(0),
    retiredSeen: meta.tables.map(() => 0n),
    finalTokens: new Set(),
    finalConfirmedAtNs: 0n,
    durableThrough: 0n,
    readPending: false,
    lockRetryAtNs: 0n,
    unloaded: false,
    ended: false,
    retireAtNs: 0n,
    retireRefused: false,
    gone: false,
    last: 'no',
  };
}

/** The generated types say Buffer where the codec takes any bytes. */
function bytesOfHex(hex: string): LineageRef['uuid'] {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    parseInt(hex.slice(i * 2, i * 2 + 2), 16),
  ) as LineageRef['uuid'];
}
