/**
 * Splits what is to be sent into parts below a size. Each part holds whole rows with their definitions, so that it
 * stands alone. Sizes are upper bounds of what contract/columns.ts writes.
 */
import type { Definition } from '../../shared/contract/columns.ts';
import type { TableRows } from '../kernel/table-rows.ts';
import type { ChangedRows, SentRows } from './changed-rows.ts';

/** What one table sends. Definitions ascend, and each is of a changed row. */
export interface TableUpdate {
  readonly rows: TableRows;
  readonly changed: ChangedRows;
  readonly definitions: readonly Definition[];
  /** What was sent before; undefined in a keyframe. */
  readonly sent: SentRows | undefined;
  /** Σ seen of all earlier generations. */
  readonly retiredSeen: bigint;
}

/** Of each table the changed rows from[t]…to[t]-1, as positions in `changed.ids`. */
export interface Part {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** At least one part, and no row in two. `bytesMax` is what rows and definitions may take. */
export function planParts(updates: readonly TableUpdate[], bytesMax: number): Part[] {
  if (roughBytes(updates) <= bytesMax) return [{ from: updates.map(() => 0), to: updates.map((u) => u.changed.count) }];
  const parts: Part[] = [];
  let from = updates.map(() => 0);
  let to = updates.map(() => 0);
  let bytes = 0;
  let strings = new Set<string>();
  updates.forEach((update, t) => {
    let nextDefinition = 0;
    for (let k = 0; k < update.changed.count; k++) {
      const row = update.changed.ids[k]!;
      const defined = update.definitions[nextDefinition]?.id === row ? update.definitions[nextDefinition++] : undefined;
      let cost = rowBytes(update.rows, row) + definitionBytes(defined, strings);
      if (bytes + cost > bytesMax && bytes > 0) {
        parts.push({ from, to });
        from = updates.map((u, i) => (i < t ? u.changed.count : i === t ? k : 0));
        to = from.slice();
        bytes = 0;
        strings = new Set();
        cost = rowBytes(update.rows, row) + definitionBytes(defined, strings);
      }
      bytes += cost;
      to[t] = k + 1;
    }
  });
  parts.push({ from, to });
  return parts;
}

/** Quick upper bound, so that the usual small batch is not measured row by row. */
function roughBytes(updates: readonly TableUpdate[]): number {
  let bytes = 0;
  for (const { rows, changed, definitions } of updates) {
    bytes += changed.count * (5 + 10 * rows.schema.valueCount);
    for (const d of definitions) bytes += definitionBytes(d, undefined);
  }
  return bytes;
}

function rowBytes(rows: TableRows, row: number): number {
  let bytes = 5;
  const stride = rows.schema.valueCount * 2;
  for (let i = row * stride; i < (row + 1) * stride; i += 2) {
    const high = rows.values[i + 1]!;
    const bits = high !== 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(rows.values[i]!);
    bytes += Math.max(1, Math.ceil(bits / 7));
  }
  return bytes;
}

/** Strings of a block are written once: with `written`, only new ones are charged. */
function definitionBytes(definition: Definition | undefined, written: Set<string> | undefined): number {
  if (!definition) return 0;
  let bytes = 5;
  for (const label of definition.labels) {
    bytes += 4;
    if (written?.has(label)) continue;
    written?.add(label);
    // ASCII is one byte a unit; anything else at most three.
    bytes += 2 + (/^[\x00-\x7f]*$/.test(label) ? label.length : label.length * 3);
  }
  return bytes;
}
