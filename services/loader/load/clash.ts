/** Names that are taken: a metric is known by its table's name, so two probes that count now cannot share one. Pure. */
import type { TableSchema } from '../../shared/contract/lineage.ts';
import { MusterError } from '../../shared/runtime/errors.ts';

/** A probe that counts now. */
export interface Live {
  readonly probe: string;
  readonly uuid: string;
  readonly tables: readonly TableSchema[];
  /** What the object asked for, of tables that were sized down. */
  readonly declaredRows: Readonly<Record<string, number>>;
  readonly billBytes: number;
}

/** Throws bpf/clash for a table that another probe has. */
export function checkTableNames(probe: string, tables: readonly TableSchema[], live: readonly Live[]): void {
  for (const { name } of tables) {
    const holder = live.find((l) => l.probe !== probe && l.tables.some((t) => t.name === name));
    if (!holder) continue;
    throw new MusterError(
      'bpf/clash',
      `table ${name}: probe ${holder.probe} has a table of this name, and counts now`,
      {
        cause: 'a table’s name is its metric’s name',
        remedy: `rename the table, or \`muster unload ${holder.probe}\` first`,
      },
    );
  }
}
