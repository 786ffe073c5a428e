/** The tables of a host: series and folded totals, shared by all lineages whose rows decode alike. */
import { SeriesIndex } from '../../shared/algebra/series-index.ts';
import { SumTable } from '../../shared/algebra/sum-table.ts';
import { newTableKey } from '../../shared/contract/checkpoint.ts';
import { bitsAt, schemaHash, type TableSchema } from '../../shared/contract/lineage.ts';
import type { HostState, TableState } from './state.ts';

const tableShape = (schema: TableSchema): bigint => schemaHash([schema]);

export function createTable(key: string, schema: TableSchema, probe: string): TableState {
  return {
    key,
    name: schema.name,
    shape: tableShape(schema),
    probe,
    index: new SeriesIndex(schema.labels.length),
    base: new SumTable(schema.valueCount, 0, bitsAt(schema)),
    baseChanged: false,
    seriesWritten: 0,
    limitedRows: 0n,
  };
}

/** The table that these rows belong to: one of the same name and shape, or a new one beside it. */
export function tableFor(host: HostState, schema: TableSchema, probe: string): TableState {
  const shape = tableShape(schema);
  for (const table of host.tables.values()) if (table.name === schema.name && table.shape === shape) return table;
  const key = newTableKey(schema.name, shape, (k) => host.tables.has(k));
  const table = createTable(key, schema, probe);
  host.tables.set(key, table);
  return table;
}
