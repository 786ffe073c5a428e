/** What an agent is told once, and the limits it keeps. All durations are in nanoseconds of CLOCK_BOOTTIME. */
export interface AgentConfig {
  readonly host: string;
  readonly hostLabels: Readonly<Record<string, string>>;
  readonly kernelRelease: string;
  /** `uname -m`: x86_64, aarch64. Numbers of system calls differ. */
  readonly machine: string;
  /** Labels that leave the host changed; absent: none. */
  readonly privacy?: Privacy | undefined;
  /** Unlike that of any other start of any agent on this host: part of every message id. */
  readonly startId: string;
  readonly intervalNs: bigint;
  /** Version of the messages written: contract/wire.ts. */
  readonly wireVersion: number;
  readonly limits: AgentLimits;
  /** Time between two measured periods of the programs' cost; absent: none is asked for. */
  readonly measureEveryNs?: bigint | undefined;
}

/** What becomes of labels of one meaning before they leave the host. */
export type Hiding =
  | { readonly kind: 'off' }
  /** The same text has the same hash on every host that has the key. */
  | { readonly kind: 'hash' }
  | { readonly kind: 'cut'; readonly characters: number };

export interface Privacy {
  /** By meaning. */
  readonly rules: ReadonlyMap<string, Hiding>;
  /** A keyed hash as text. */
  readonly digest: (text: string) => string;
}

export interface AgentLimits {
  /** Messages of one lineage that may be unconfirmed; at this many it is not read. */
  readonly unconfirmedMax: number;
  /** Bytes of one message, envelope included. Below contract/batch.ts batchBytesMax. */
  readonly batchBytesMax: number;
  readonly keyframeEveryNs: bigint;
  /** Longest wait between two tries while publishing fails. */
  readonly retryMaxNs: bigint;
  /** A generation ends when this share of a table's rows is issued, */
  readonly sealFill: number;
  /** or when it is this old, */
  readonly sealAgeNs: bigint;
  /** or when, of at least `idleRowsMin` rows, this share did not change for `idleNs`; */
  readonly sealIdleShare: number;
  readonly idleRowsMin: number;
  readonly idleNs: bigint;
  /** but never sooner than this after the last one, so that a table that is always full does not flip all the time. */
  readonly sealGapNs: bigint;
  /** A sealed generation without word of its durability is published again after this long. */
  readonly durableRetryNs: bigint;
  /** Between two tries for the seal lock, and between two requests to retire an ended lineage. */
  readonly lockRetryNs: bigint;
  readonly retireRetryNs: bigint;
  /** Between two accounts of Muster's own cost. */
  readonly accountEveryNs: bigint;
}

const second = 1_000_000_000n;

export const defaultLimits: AgentLimits = {
  unconfirmedMax: 4,
  batchBytesMax: 500 * 1024,
  keyframeEveryNs: 180n * second,
  retryMaxNs: 2n * second,
  sealFill: 0.75,
  sealAgeNs: 3600n * second,
  sealIdleShare: 0.75,
  idleRowsMin: 256,
  idleNs: 300n * second,
  sealGapNs: 10n * second,
  durableRetryNs: 30n * second,
  lockRetryNs: 5n * second,
  retireRetryNs: 30n * second,
  accountEveryNs: 10n * second,
};
