/** The core's whole state, and the list that a step adds its effects to. */
import type { AgentConfig } from './config.ts';
import type { createComposer } from './batch/compose.ts';
import type { ChangedRows } from './batch/changed-rows.ts';
import type { Missing } from '../shared/contract/lineage.ts';
import type { AgentEffect, Instant } from './effects.ts';
import type { OwnAccounts } from './accounts.ts';
import type { LineageState } from './lineage-state.ts';

export interface AgentState {
  readonly config: AgentConfig;
  readonly subject: string;
  readonly lineages: Map<string, LineageState>;
  /** Directories that could not be opened, with the number of tries; those that this agent does not read are never tried again. */
  readonly unopened: Map<string, { tries: number; foreign: boolean }>;
  /** Directories without a link, and since when (wall clock, Unix ns). */
  detached: ReadonlyMap<string, bigint>;
  /** Probes that the loader could not load, as last found. */
  missing: readonly Missing[];
  /** Lineage of each message that is not confirmed. */
  readonly tokens: Map<number, LineageState>;
  readonly compose: ReturnType<typeof createComposer>;
  /** Scratch of changed rows by table number, kept between reads. */
  readonly changed: ChangedRows[];
  nextToken: number;
  sequence: bigint;
  now: Instant;
  readonly own: OwnAccounts;
  /** When the programs' cost is to be measured again. */
  measureAtNs: bigint;
  /** Whether publishing has a chance; while not, nothing is read. */
  busUp: boolean;
  stopping: boolean;
  stopped: boolean;
}

/** Collects a step's effects. */
export class Effects {
  readonly list: AgentEffect[] = [];

  add(effect: AgentEffect): void {
    this.list.push(effect);
  }

  log(
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields: Readonly<Record<string, unknown>> = {},
  ): void {
    this.list.push({ kind: 'log', level, fields, message });
  }
}
