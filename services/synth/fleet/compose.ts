/** A synthetic host's table as the message that an agent would send; marked as synthetic. */
import { encodeBatch, type Batch, type LineageRef } from '../../shared/contract/batch.ts';
import { type Columns, type Definition, emptyColumns, reserveRows } from '../../shared/contract/columns.ts';
import { wireFormat, wireNewest } from '../../shared/contract/wire.ts';
import { type KernelTable, operationOf, serviceOf } from './table.ts';

export interface Envelope {
  readonly host: string;
  readonly hostLabels: Readonly<Record<string, string>>;
  readonly lineage: LineageRef;
  readonly schemaJson: string;
  readonly sequence: bigint;
  readonly readBoottimeNs: bigint;
  readonly readWallNs: bigint;
  readonly intervalNs: bigint;
}

const format = wireFormat(wireNewest)!;
const columns: Columns = emptyColumns();

export interface Extent {
  /** First row that changed, and first row whose labels were not sent. */
  readonly from: number;
  readonly defineFrom: number;
  /** A keyframe: all rows and all definitions. */
  readonly whole: boolean;
  readonly sealed: boolean;
}

export function composeBatch(e: Envelope, t: KernelTable, { from, defineFrom, whole, sealed }: Extent): Uint8Array {
  const first = whole ? 1 : from;
  const count = t.rowsIssued - first + 1;
  reserveRows(columns, count, 1);
  columns.labelCount = 2;
  columns.rowCount = count;
  columns.definitions = definitions(t, whole ? 1 : defineFrom);
  for (let r = 0, row = first; r < count; r++, row++) {
    const value = t.values[row]!;
    columns.ids[r] = row;
    columns.values[r * 2] = value;
    columns.values[r * 2 + 1] = value / 0x1_0000_0000;
  }
  return encodeBatch({
    wireVersion: wireNewest,
    host: e.host,
    hostLabels: whole ? { ...e.hostLabels } : {},
    kernelRelease: whole ? 'synthetic' : '',
    lineage: e.lineage,
    generation: t.generation,
    sealed,
    keyframe: whole,
    part: 1,
    parts: 1,
    sequence: e.sequence,
    readBoottimeNs: e.readBoottimeNs,
    readWallNs: e.readWallNs,
    intervalNs: e.intervalNs,
    tables: [
      {
        table: 'synthetic',
        ledger: { seen: BigInt(t.seen), failed: [0n, 0n, 0n, 0n] },
        retiredSeen: t.retiredSeen,
        columns: format.encodeColumns(columns) as Batch['tables'][number]['columns'],
      },
    ],
    programs: [],
    schemaJson: whole ? e.schemaJson : '',
    checksum: 0,
    synthetic: true,
    missing: [],
  });
}

function definitions(t: KernelTable, from: number): Definition[] {
  const found: Definition[] = [];
  for (let row = from; row <= t.rowsIssued; row++) {
    const key = t.keys[row]!;
    found.push({ id: row, labels: [serviceOf(key), operationOf(key)] });
  }
  return found;
}
