/** Puts one part of an update into a message: the envelope of proto/muster/v1/batch.proto and its column blocks. */
import { encodeBatch, type Batch, type LineageRef, type TableLedger } from '../../shared/contract/batch.ts';
import { emptyColumns, reserveRows, type Columns } from '../../shared/contract/columns.ts';
import { wireFormat } from '../../shared/contract/wire.ts';
import { assert } from '../../shared/runtime/assert.ts';
import type { Missing } from '../../shared/contract/lineage.ts';
import { toBigInt } from '../../shared/algebra/limbs.ts';
import type { Governed } from '../../shared/contract/control.ts';
import { bySecond } from '../../shared/contract/seconds.ts';
import type { TableRows } from '../kernel/table-rows.ts';
import type { SentRows } from './changed-rows.ts';
import type { ProgramAccount } from '../../shared/runtime/ports/pinned-tables.ts';
import type { Part, TableUpdate } from './parts.ts';

/** What all parts of one update share. */
export interface Envelope {
  readonly host: string;
  readonly lineage: LineageRef;
  readonly generation: bigint;
  readonly sealed: boolean;
  readonly readBoottimeNs: bigint;
  readonly readWallNs: bigint;
  readonly intervalNs: bigint;
  /** What the probe gives up to keep to its budget; absent while that is nothing and it has none. */
  readonly governed: Governed | undefined;
  /** By what rows that are kept by second are to be dated; absent where that cannot be told. */
  readonly seconds: { readonly offsetNs: bigint; readonly copiedBoottimeNs: bigint } | undefined;
  readonly programs: readonly (ProgramAccount & { readonly period?: MeasuredRuns | undefined })[];
  /** Present in keyframes. */
  readonly keyframe:
    | {
        readonly hostLabels: Readonly<Record<string, string>>;
        readonly kernelRelease: string;
        readonly schemaJson: string;
        readonly kernelBytes: bigint | undefined;
        /** Of the programs, by name. */
        readonly hooks: ReadonlyMap<string, string>;
        readonly missing: readonly Missing[];
      }
    | undefined;
}

/** What the kernel timed of one program in one period. */
export interface MeasuredRuns {
  readonly periodNs: bigint;
  readonly periodRuns: bigint;
  readonly periodRunTimeNs: bigint;
}

/** Upper bound of an envelope's bytes, column blocks excluded. */
export function envelopeBytes(envelope: Envelope, updates: readonly TableUpdate[]): number {
  let units = envelope.host.length + envelope.lineage.probe.length;
  for (const { rows } of updates) units += rows.schema.name.length;
  for (const { program } of envelope.programs) units += program.length;
  const k = envelope.keyframe;
  if (k) {
    units += k.kernelRelease.length + k.schemaJson.length;
    for (const hook of k.hooks.values()) units += hook.length;
    for (const m of k.missing) units += m.probe.length + m.program.length + m.hook.length + m.reason.length + 16;
    for (const [name, value] of Object.entries(k.hostLabels)) units += name.length + value.length + 8;
  }
  // Fixed fields of the envelope, of a table (ledger of five numbers, block header), of a program.
  return 256 + units * 3 + updates.length * 192 + envelope.programs.length * 96;
}

/** Encodes parts one by one as messages of one version, into arrays that are kept between calls. */
export function createComposer(
  wireVersion: number,
): (
  envelope: Envelope,
  updates: readonly TableUpdate[],
  part: Part,
  number: number,
  of: number,
  sequence: bigint,
) => Uint8Array {
  const columns: Columns = emptyColumns();
  const format = wireFormat(wireVersion);
  assert(format !== undefined, `no wire version ${wireVersion}`);
  return (envelope, updates, part, number, of, sequence) => {
    const batch: Batch = {
      wireVersion,
      host: envelope.host,
      hostLabels: { ...envelope.keyframe?.hostLabels },
      kernelRelease: envelope.keyframe?.kernelRelease ?? '',
      lineage: envelope.lineage,
      generation: envelope.generation,
      sealed: envelope.sealed,
      keyframe: envelope.keyframe !== undefined,
      part: number,
      parts: of,
      sequence,
      readBoottimeNs: envelope.readBoottimeNs,
      readWallNs: envelope.readWallNs,
      intervalNs: envelope.intervalNs,
      tables: updates.map((update, t) => ({
        table: update.rows.schema.name,
        ledger: ledgerOf(update.rows),
        retiredSeen: update.retiredSeen,
        columns: asBuffer(format.encodeColumns(fillColumns(columns, update, part.from[t]!, part.to[t]!))),
      })),
      programs: envelope.programs.map((p) => ({
        program: p.program,
        skipped: p.skipped,
        runs: p.runs,
        runTimeNs: p.runTimeNs,
        ...p.period,
        hook: envelope.keyframe?.hooks.get(p.program) ?? '',
      })),
      schemaJson: envelope.keyframe?.schemaJson ?? '',
      checksum: 0,
      synthetic: false,
      kernelBytes: envelope.keyframe?.kernelBytes,
      missing: [...(envelope.keyframe?.missing ?? [])],
      ...(envelope.seconds && { seconds: envelope.seconds }),
      ...(envelope.governed && {
        governed: { ...envelope.governed, sinceWallS: BigInt(envelope.governed.sinceWallS) },
      }),
    };
    return encodeBatch(batch);
  };
}

/** The generated types say Buffer where the codec takes any bytes. */
const asBuffer = (bytes: Uint8Array): Batch['tables'][number]['columns'] => bytes as Batch['tables'][number]['columns'];

const ledgerOf = ({ ledger, sampling }: TableRows): TableLedger => ({
  seen: toBigInt(ledger, 0),
  failed: [toBigInt(ledger, 2), toBigInt(ledger, 4), toBigInt(ledger, 6), toBigInt(ledger, 8)],
  ...(sampling.every((limb) => limb === 0)
    ? {}
    : {
        sampled: {
          seen: toBigInt(sampling, 0),
          given: toBigInt(sampling, 2),
          sumSeen: toBigInt(sampling, 4),
          sumGiven: toBigInt(sampling, 6),
          weightMax: toBigInt(sampling, 8),
        },
      }),
});

function fillColumns(columns: Columns, update: TableUpdate, from: number, to: number): Columns {
  const { rows, changed, definitions, sent } = update;
  const { valueCount, labels } = rows.schema;
  const count = to - from;
  reserveRows(columns, count, valueCount);
  columns.labelCount = labels.length;
  columns.rowCount = count;
  const first = changed.ids[from] ?? 0;
  const last = count > 0 ? changed.ids[to - 1]! : -1;
  columns.definitions = definitions.length === 0 ? [] : definitions.filter((d) => d.id >= first && d.id <= last);
  for (let r = 0; r < count; r++) columns.ids[r] = changed.ids[from + r]!;
  for (let v = 0; v < valueCount; v++) {
    for (let r = 0, t = v * count * 2; r < count; r++, t += 2) {
      const s = (columns.ids[r]! * valueCount + v) * 2;
      columns.values[t] = rows.values[s]!;
      columns.values[t + 1] = rows.values[s + 1]!;
    }
  }
  if (sent && bySecond(rows.schema)) dropUnchanged(columns, rows, sent);
  return columns;
}

/** Of seconds, what did not change is left out, as 0: of ten most did not, and a join by maximum passes it over. */
function dropUnchanged({ values, ids, rowCount, valueCount }: Columns, rows: TableRows, sent: SentRows): void {
  for (let v = 1; v < valueCount; v++) {
    for (let r = 0, t = v * rowCount * 2; r < rowCount; r++, t += 2) {
      const s = (ids[r]! * valueCount + v) * 2;
      if (rows.values[s] === sent.values[s] && rows.values[s + 1] === sent.values[s + 1]) values[t] = values[t + 1] = 0;
    }
  }
}
