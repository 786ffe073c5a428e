/**
 * First stage: bytes from the bus become a checked batch, or a reason to quarantine them. Nothing is merged from a
 * message that is not right in whole, so that a poison message changes no count.
 */
import { type Batch, decodeBatch } from '../../shared/contract/batch.ts';
import type { Columns } from '../../shared/contract/columns.ts';
import { parseTables, schemaHash, type TableSchema } from '../../shared/contract/lineage.ts';
import { wireFormat } from '../../shared/contract/wire.ts';
import { parseBatchSubject } from '../../shared/contract/subjects.ts';
import { MusterError } from '../../shared/runtime/errors.ts';

export interface CheckedBatch {
  readonly kind: 'batch';
  readonly batch: Batch;
  readonly host: string;
  /** (boot id, uuid) as hex: the whole identity of the lineage. */
  readonly lineageKey: string;
  /** Rows of each block of the batch, in its order; valid until the next message is received. */
  readonly blocks: readonly Columns[];
  /** The lineage's tables, where the batch brings them. */
  readonly tables: readonly TableSchema[] | undefined;
}

export interface Poison {
  readonly kind: 'poison';
  /** A stable code: the error's, or this stage's own. */
  readonly reason: string;
  readonly detail: string;
  /** From the subject, where it names one. */
  readonly host: string | undefined;
}

/** Arrays and parsed schemas that are used again for the next message. */
export interface ReceiveScratch {
  readonly columns: Columns[];
  readonly schemas: Map<string, Omit<KnownSchema, 'takes'>>;
  /** Host and partition by subject. */
  readonly addresses: Map<string, ReturnType<typeof parseBatchSubject>>;
}

export interface KnownSchema {
  readonly hash: bigint;
  readonly tables: readonly TableSchema[];
  /** False where as many generations of the lineage wait as may. */
  takes(batch: Batch): boolean;
}

export const createScratch = (): ReceiveScratch => ({ columns: [], schemas: new Map(), addresses: new Map() });

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
const schemasKept = 64;
const addressesKept = 4096;

/** Checks all that can be told before merging; `schemaOf` gives a known lineage's schema. */
export function receive(
  subject: string,
  payload: Uint8Array,
  partition: number,
  scratch: ReceiveScratch,
  schemaOf: (host: string, lineageKey: string) => KnownSchema | undefined,
): CheckedBatch | Poison {
  const address = addressOf(subject, scratch);
  if (!address || address.partition !== partition) {
    return {
      kind: 'poison',
      reason: 'wire/subject',
      detail: `not a batch subject of partition ${partition}`,
      host: undefined,
    };
  }
  const poison = (reason: string, detail: string): Poison => ({ kind: 'poison', reason, detail, host: address.host });
  try {
    const batch = decodeBatch(payload);
    if (batch.host !== address.host)
      return poison('wire/host-mismatch', `the body says ${JSON.stringify(batch.host.slice(0, 80))}`);
    const lineage = batch.lineage!;
    const format = wireFormat(batch.wireVersion)!;
    const lineageKey = `${hex(lineage.bootId)}${hex(lineage.uuid)}`;
    const tables = batch.schemaJson === '' ? undefined : parseSchema(batch.schemaJson, lineage.schemaHash, scratch);
    const known = schemaOf(address.host, lineageKey);
    if (known && known.hash !== lineage.schemaHash)
      return poison('wire/schema', 'the lineage was known with another schema');
    if (known?.tables.length === 0) return poison('lineage/ended', 'its successor has long taken over');
    if (known?.takes(batch) === false)
      return poison('lineage/generations', `generation ${batch.generation}: a kernel has two, and more are open`);
    const schema = known?.tables ?? tables;
    const blocks: Columns[] = [];
    for (const [i, block] of batch.tables.entries()) {
      const columns = format.decodeColumns(block.columns, scratch.columns[i]);
      scratch.columns[i] = columns;
      blocks.push(columns);
      if (!schema) continue;
      const table = schema.find((t) => t.name === block.table);
      if (!table)
        return poison(
          'wire/schema',
          `table ${JSON.stringify(block.table.slice(0, 80))} is not in the lineage's schema`,
        );
      if (!format.kinds.includes(table.kind))
        return poison(
          'wire/schema',
          `table ${block.table}: wire version ${batch.wireVersion} has no kind ${table.kind}`,
        );
      const misfit = fits(columns, table);
      if (misfit) return poison('wire/schema', `table ${block.table}: ${misfit}`);
    }
    return { kind: 'batch', batch, host: address.host, lineageKey, blocks, tables };
  } catch (cause) {
    if (!(cause instanceof MusterError)) throw cause;
    // Of a version that is not read, whoever sees the refusal is to know what to do.
    return poison(cause.code, cause.code === 'wire/version' ? `${cause.what}; ${cause.remedy}` : cause.what);
  }
}

function addressOf(subject: string, { addresses }: ReceiveScratch): ReturnType<typeof parseBatchSubject> {
  const known = addresses.get(subject);
  if (known) return known;
  const address = parseBatchSubject(subject);
  if (addresses.size >= addressesKept) addresses.clear();
  if (address) addresses.set(subject, address);
  return address;
}

/** Why the rows cannot belong to the table, or undefined. Row numbers are bounded before any array grows by them. */
function fits(c: Columns, table: TableSchema): string | undefined {
  if (c.rowCount > 0 && c.valueCount !== table.valueCount)
    return `${c.valueCount} values, expected ${table.valueCount}`;
  if (c.definitions.length > 0 && c.labelCount !== table.labels.length)
    return `${c.labelCount} labels, expected ${table.labels.length}`;
  const highest = Math.max(c.rowCount ? c.ids[c.rowCount - 1]! : 0, c.definitions.at(-1)?.id ?? 0);
  return highest > table.rows ? `row ${highest} of ${table.rows}` : undefined;
}

function parseSchema(json: string, hash: bigint, scratch: ReceiveScratch): readonly TableSchema[] {
  let schema = scratch.schemas.get(json);
  if (!schema) {
    const tables = parsed(json);
    schema = { tables, hash: schemaHash(tables) };
    if (scratch.schemas.size >= schemasKept) scratch.schemas.clear();
    scratch.schemas.set(json, schema);
  }
  if (schema.hash !== hash)
    throw new MusterError('wire/malformed', 'decode batch: schema hash differs from the schema');
  return schema.tables;
}

function parsed(json: string): readonly TableSchema[] {
  let tables: readonly TableSchema[];
  try {
    tables = parseTables(json);
  } catch (cause) {
    throw new MusterError('wire/malformed', 'decode batch: not a schema', { cause });
  }
  if (tables.some((t) => t.rows > rowsMax) || new Set(tables.map((t) => t.name)).size !== tables.length) {
    throw new MusterError('wire/malformed', 'decode batch: schema out of bounds');
  }
  return tables;
}

/** Bounds the memory that one lineage can claim by its schema. */
const rowsMax = 1 << 20;
