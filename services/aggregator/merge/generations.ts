/** The rows of a lineage's generations that are still joined. */
import { RowTable } from '../../shared/algebra/row-table.ts';
import { nothingSampled } from '../../shared/algebra/sampling.ts';
import type { LineageMeta } from '../../shared/contract/lineage.ts';
import type { GenerationState, LineageState } from './state.ts';

/** The generation's rows, made when first asked for. */
export function generationOf(lineage: LineageState, generation: bigint): GenerationState {
  const known = lineage.open.find((g) => g.generation === generation);
  if (known) return known;
  const made = createGeneration(
    generation,
    lineage.tables.map((t) => t.schema),
  );
  lineage.open.push(made);
  lineage.open.sort((a, b) => (a.generation < b.generation ? -1 : 1));
  if (generation > lineage.generation) lineage.generation = generation;
  return made;
}

export function createGeneration(
  generation: bigint,
  tables: readonly Pick<LineageMeta['tables'][number], 'valueCount'>[],
): GenerationState {
  return {
    generation,
    tables: tables.map(({ valueCount }) => {
      const rows = new RowTable(valueCount);
      rows.define(0, 0);
      return {
        rows,
        seen: 0n,
        failed: [0n, 0n, 0n, 0n],
        sampled: nothingSampled,
        retiredSeen: 0n,
        sealed: false,
        readBoottimeNs: 0n,
      };
    }),
  };
}
