/**
 * Names and sizes of a table's kernel maps: as C identifiers in an object (bpf/muster.bpf.h), as pins (lineage.ts).
 * A slot of a table has one map of each part.
 */
import { cellCount } from '../algebra/heavy.ts';
import type { TableSchema } from './lineage.ts';

export const slotParts = ['ids', 'hints', 'keys', 'cells', 'ledger'] as const;
export type SlotPart = (typeof slotParts)[number];

export const mapName = (table: string, part: SlotPart, slot: 0 | 1): string => `${table}_${part}_${slot}`;
export const pinName = (table: string, part: SlotPart, slot: 0 | 1): string => `${table}-${part}-${slot}`;

/** Sections of an object that become maps: what the loader sets before load, and the control words. */
export const constantsMap = '.rodata';
export const controlMap = '.data.muster';

/** Fewest rows with which a table keeps what its kind promises: a filter's bits lie where they were compiled to lie. */
export function rowsLeast({ kind, rows }: Pick<TableSchema, 'kind' | 'rows'>): number {
  if (kind === 'filter') return rows;
  return kind === 'heavy' ? 3 * cellCount : 1;
}

/** Most rows a table may have. */
export const rowsMax = 1 << 22;
const hintsMin = 64;
const hintsMax = 1 << 18;

/** Hints per CPU for a table of so many rows: one each, within bounds; a power of two. */
export function hintsFor(rows: number): number {
  let hints = hintsMin;
  while (hints < rows && hints < hintsMax) hints *= 2;
  return hints;
}

/** Frames of the stacks that are labels (bpf/stack.h), and its pin's name in the lineage's directory. */
export const stacksMap = 'muster_stacks';
export const stacksPin = 'stacks';

/** What the agent lays in for bpf/muster.bpf.c to count (accounts.ts), its pin, and the program that takes it. */
export const inboxMap = 'muster_inbox';
export const inboxPin = 'inbox';
export const inboxProgram = 'take_account';

/** Maps of an object that are no table's and are pinned, by name. */
export const pinnedMaps: ReadonlyMap<string, string> = new Map([
  [stacksMap, stacksPin],
  [inboxMap, inboxPin],
]);
