/**
 * The state of one partition between two messages. Plain data and typed arrays: merge/ changes it, checkpoint/ writes
 * and restores it, and nothing else holds a count.
 */
import type { RowTable } from '../../shared/algebra/row-table.ts';
import type { SeriesCount, SeriesLimits } from './limits.ts';
import type { WholeReads } from './seconds.ts';
import type { SeriesIndex } from '../../shared/algebra/series-index.ts';
import type { Sampled } from '../../shared/algebra/sampling.ts';
import type { SumTable } from '../../shared/algebra/sum-table.ts';
import type { Batch } from '../../shared/contract/batch.ts';
import type { ProgramRecord, QuarantinedMessage, UnknownSpan } from '../../shared/contract/checkpoint.ts';
import type { Missing, TableSchema } from '../../shared/contract/lineage.ts';

/** What could not be attributed, in units of the table's first value. */
export interface LedgerSums {
  overflow: bigint;
  /** By errno class: full, no memory, busy, other. */
  readonly failed: bigint[];
  sampled: Sampled;
}

/** The sum over folded generations of a table. */
export interface FoldedLedger extends LedgerSums {
  /** Σ of the first value that is in base; `seen` of the checkpoint is held - excess + lost. */
  held: bigint;
  /** Of it, what sealed generations hold beyond what they saw: a broken equation, never made good. */
  excess: bigint;
  lost: bigint;
  quarantined: bigint;
}

export interface GenerationTable {
  readonly rows: RowTable;
  seen: bigint;
  readonly failed: bigint[];
  sampled: Sampled;
  retiredSeen: bigint;
  sealed: boolean;
  readBoottimeNs: bigint;
}

/** One generation whose rows are still joined. */
export interface GenerationState {
  readonly generation: bigint;
  /** In the order of the lineage's schema. */
  readonly tables: GenerationTable[];
}

/**
 * live: counts. ended: a younger lineage took over; what still arrives is joined all the same.
 * quarantined: an older live lineage sees the same events; nothing is counted, all of it is stated.
 * namesake: another machine, which bears the same host name and was there first, counts under it; likewise stated.
 */
export type LineageStatus = 'live' | 'ended' | 'quarantined' | 'namesake';

export interface LineageState {
  /** (boot id, uuid) as hex. */
  readonly key: string;
  readonly uuid: string;
  readonly bootId: string;
  readonly probe: string;
  readonly createdBoottimeNs: bigint;
  readonly createdWallNs: bigint;
  readonly schemaHash: bigint;
  schemaJson: string;
  /** Empty once the lineage is ended, folded and its tables are described by another. */
  tables: { readonly schema: TableSchema; readonly key: string }[];
  status: LineageStatus;
  /** Newest generation seen. */
  generation: bigint;
  /** All through this one are in base, or given up as lost. */
  foldedThrough: bigint;
  readBoottimeNs: bigint;
  readWallNs: bigint;
  mergedWallMs: number;
  historyBoottimeNs: bigint;
  /** When its programs were detached, by the newest read; 0n: they are attached, as far as is known. */
  detachedWallNs: bigint;
  /** Unfolded generations, oldest first. */
  readonly open: GenerationState[];
  /** By table, in the schema's order. */
  folded: FoldedLedger[];
  programs: ProgramRecord[];
  kernelBytes: bigint | undefined;
  /** What it gives up to keep to a budget, by the newest read. */
  governed: Batch['governed'];
  /** foldedThrough of the commit under way and of the newest committed one, and what the host was told. */
  committing: bigint;
  committed: bigint;
  announced: bigint;
  toldMs: number;
  /** Bus time of the first batch of it that was merged; 0 where it is not known. */
  heardMs: number;
  /** Of an ended one, and not kept, as the next: reads that the bus took after the first of its heir from another boot. */
  readsSinceHeir: number;
  /** Of these, since its heir spoke last. */
  readsInARow: number;
  /** Reads of it that are merged whole (seconds.ts). Not kept. */
  whole: WholeReads;
  /** Reads merged by this process. Not kept. */
  reads: number;
  /** Of a namesake: bus time since when nothing of the machine that counts was heard; 0 while it is. */
  aloneSinceMs: number;
}

/** Series and folded totals of one table of one host, shared by all lineages that decode alike. */
export interface TableState {
  /** <table> of blob names. */
  readonly key: string;
  readonly name: string;
  /** Hash of name, kind, unit, values and labels: what must agree for two lineages to share series. */
  readonly shape: bigint;
  /** That brought it first. */
  readonly probe: string;
  readonly index: SeriesIndex;
  readonly base: SumTable;
  baseChanged: boolean;
  /** Series already written. */
  seriesWritten: number;
  /** Rows that joined the overflow for want of a series. */
  limitedRows: bigint;
}

export interface HostState {
  readonly host: string;
  labels: { [key: string]: string };
  kernelRelease: string;
  bootId: string;
  readWallNs: bigint;
  mergedWallMs: number;
  intervalNs: bigint;
  clockSkewMs: number;
  synthetic: boolean;
  quarantinedBatches: bigint;
  readonly tables: Map<string, TableState>;
  readonly lineages: LineageState[];
  /** Ledgers of folded lineages by "probe/table". */
  readonly folded: Map<string, FoldedLedger & { readonly probe: string; readonly table: string }>;
  unknown: UnknownSpan[];
  /** What it could not load. */
  missing: readonly Missing[];
  changed: boolean;
  /** When the host was last asked for a keyframe, and for which lineages none has come yet: uuid → times left to ask. */
  resyncMs: number;
  readonly wanted: Map<string, number>;
  /** The agent's count of its messages, to notice that one is missing. Not kept: a start asks for keyframes anyway. */
  sequence: bigint;
}

/** Increments of one host in one window of one table. */
export interface WindowPart {
  readonly sums: SumTable;
  seen: bigint;
  failed: bigint;
  skipped: bigint;
  sampled: Sampled;
  /** Kept by second: what could not be told by second. */
  undivided: bigint;
  fromMs: number;
  toMs: number;
}

/** A window that still takes increments in memory. */
export interface OpenWindow {
  readonly startMs: number;
  readonly table: string;
  readonly part: number;
  readonly hosts: Map<string, WindowPart>;
  touchedMs: number;
  changed: boolean;
}

export interface WindowsState {
  readonly open: Map<string, OpenWindow>;
  /** Parts ever begun, by start and table: the blobs that exist. */
  readonly parts: Map<number, Map<string, number>>;
}

export interface MergeState {
  readonly partition: number;
  readonly limits: SeriesLimits;
  /** Series of all hosts, about: limits.ts counts them. */
  series: SeriesCount;
  readonly hosts: Map<string, HostState>;
  readonly windows: WindowsState;
  readonly poison: { readonly reasons: Map<string, bigint>; recent: QuarantinedMessage[]; changed: boolean };
  /** Blobs that the next commit drops. */
  readonly drops: Set<string>;
  /** Unreferenced by anything but tests and the driver's summary. */
  rowsMerged: number;
}

/** What merging asks of the world: told at once, unlike what needs a checkpoint first. */
export type MergeEffect =
  | { readonly kind: 'resync'; readonly host: string; readonly reason: string; readonly lineageUuid: string }
  | {
      readonly kind: 'log';
      readonly level: 'debug' | 'info' | 'warn';
      readonly fields: object;
      readonly message: string;
    }
  | { readonly kind: 'alarm'; readonly fields: object; readonly message: string };
