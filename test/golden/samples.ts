/**
 * Messages and checkpoint blobs whose bytes are kept for ever, one of each kind, with values at the edges.
 * A sample never changes: a new field gets a new sample, a new wire version a new folder. Checkpoint blobs, which have a
 * format of their own, stand in the first.
 */
import { emptyColumns, encodeColumns, decodeColumns } from '../../services/shared/contract/columns.ts';
import { setBigInt } from '../../services/shared/algebra/limbs.ts';
import { Batch, Durable, Refused, Resync, decodeBatch, encodeBatch } from '../../services/shared/contract/batch.ts';
import {
  CheckpointHead,
  HostRecord,
  Quarantine,
  SeriesPage,
  WindowBlob,
} from '../../services/shared/contract/checkpoint.ts';

const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const bootId = Buffer.from('ffeeddccbbaa99887766554433221100', 'hex');
const most = (1n << 64n) - 1n;

/** A message with the given fields and defaults for the rest. */
const of = <T>(codec: { decode(b: Uint8Array): T }, fields: Partial<T>): T => ({
  ...codec.decode(new Uint8Array()),
  ...fields,
});

function columns(
  rows: readonly (readonly [id: number, ...values: bigint[]])[],
  definitions: readonly (readonly [id: number, ...labels: string[]])[] = [],
): Buffer {
  const valueCount = rows.length > 0 ? rows[0]!.length - 1 : 1;
  const c = emptyColumns(definitions.length > 0 ? definitions[0]!.length - 1 : 0, valueCount, rows.length);
  c.definitions = definitions.map(([id, ...labels]) => ({ id, labels }));
  c.rowCount = rows.length;
  rows.forEach(([id, ...values], r) => {
    c.ids[r] = id;
    values.forEach((value, v) => setBigInt(c.values, (v * rows.length + r) * 2, value));
  });
  return Buffer.from(encodeColumns(c));
}

const plain = of(Batch, {
  host: 'web-1.example.org',
  lineage: {
    probe: 'syscalls',
    uuid,
    bootId,
    createdBoottimeNs: 123_456_789n,
    createdWallNs: 1_700_000_000_000_000_000n,
    detachedWallNs: 0n,
    schemaHash: 0x0123456789abcdefn,
  },
  generation: 3n,
  part: 1,
  parts: 1,
  sequence: 17n,
  readBoottimeNs: 987_654_321_000n,
  readWallNs: 1_700_000_864_197_532_000n,
  intervalNs: 1_000_000_000n,
  tables: [
    {
      table: 'syscalls',
      ledger: { seen: 4_294_967_296n, failed: [1n, 0n, 0n, 0n] },
      retiredSeen: 99n,
      columns: columns([
        [0, 1n],
        [1, 4_294_967_290n],
        [700, 5n],
      ]),
    },
  ],
  programs: [
    { program: 'on_sys_enter', skipped: 0n, runs: 12n, runTimeNs: 345n, hook: '' },
    { program: 'on_tick', skipped: undefined, runs: 0n, runTimeNs: 0n, hook: '' },
  ],
});

/** Name of the file → bytes of today's code, and the way there and back. */
export interface Sample {
  readonly bytes: Uint8Array;
  readonly again: (bytes: Uint8Array) => Uint8Array;
}

const message = (b: Batch): Sample => ({ bytes: encodeBatch(b), again: (bytes) => encodeBatch(decodeBatch(bytes)) });
const proto = <T>(codec: { encode(m: T): { finish(): Uint8Array }; decode(b: Uint8Array): T }, m: T): Sample => ({
  bytes: codec.encode(m).finish(),
  again: (bytes) => codec.encode(codec.decode(bytes)).finish(),
});
const block = (bytes: Uint8Array): Sample => ({ bytes, again: (b) => encodeColumns(decodeColumns(b)) });

/** What both ends of the bus write in one wire version. */
const messages = (wireVersion: number): Record<string, Sample> => {
  const delta = { ...plain, wireVersion };
  return {
    'batch-delta': message(delta),
    'batch-keyframe': message({
      ...delta,
      hostLabels: { role: 'web' },
      kernelRelease: '6.1.0-18-amd64',
      keyframe: true,
      part: 2,
      parts: 3,
      tables: [
        {
          ...delta.tables[0]!,
          columns: columns(
            [
              [1, most],
              [2, 1n],
            ],
            [
              [1, 'getppid', 'Ωmega'],
              [2, 'read', ''],
            ],
          ),
        },
      ],
      schemaJson: '[{"name":"syscalls"}]',
    }),
    'batch-sealed': message({ ...delta, sealed: true, generation: 2n }),
    'batch-synthetic': message({ ...delta, synthetic: true, tables: [], programs: [] }),
    'batch-histogram': message({
      ...delta,
      tables: [
        {
          table: 'runqueue',
          ledger: { seen: 3n, failed: [0n, 0n, 0n, 0n] },
          retiredSeen: 0n,
          columns: columns([
            [1, 2n, 12_000n],
            [9, 1n, 9_007_199_254_740_993n],
          ]),
        },
      ],
    }),
    ...(wireVersion < 2
      ? {}
      : { refused: proto(Refused, { reason: 'wire/version', detail: 'upgrade the aggregator' }) }),
    resync: proto(Resync, { reason: 'row 17 of syscalls is unknown', lineageUuid: uuid }),
    durable: proto(Durable, { bootId, lineageUuid: uuid, generation: 7n }),
    'columns-empty': block(columns([])),
    'columns-edges': block(
      columns([
        [0, 0n],
        [1, 127n],
        [2, 128n],
        [3, 0xffffffffn],
        [4, 0x100000000n],
        [5, 1n << 53n],
        [0xffffffff, most],
      ]),
    ),
  };
};

const checkpoints: Record<string, Sample> = {
  'checkpoint-head': proto(
    CheckpointHead,
    of(CheckpointHead, {
      formatVersion: 1,
      version: 42n,
      commitId: 'c-42',
      streamIdentity: '2026-01-02T03:04:05Z',
      streamSequence: 4711n,
      committedWallMs: 1_700_000_000_123n,
    }),
  ),
  'checkpoint-host': proto(
    HostRecord,
    of(HostRecord, {
      host: 'web-1.example.org',
      labels: { role: 'web' },
      kernelRelease: '6.1.0-18-amd64',
      bootId,
      readWallNs: 1_700_000_864_197_532_000n,
      mergedWallMs: 1_700_000_864_200n,
      intervalNs: 1_000_000_000n,
      lineages: [
        {
          uuid,
          bootId,
          probe: 'syscalls',
          createdBoottimeNs: 1n,
          createdWallNs: 2n,
          schemaHash: most,
          schemaJson: '[]',
          generation: 3n,
          foldedThrough: 2n,
          readBoottimeNs: 5n,
          state: 'live',
          ledgers: [
            {
              probe: 'syscalls',
              table: 'syscalls',
              seen: 10n,
              overflow: 1n,
              failed: [1n, 0n, 0n, 0n],
              lost: 2n,
              quarantined: 3n,
              current: true,
              generation: 3n,
              retiredSeen: 99n,
              sealed: false,
              readBoottimeNs: 5n,
              excess: 0n,
            },
          ],
          programs: [{ program: 'on_sys_enter', skipped: 4n, runs: 5n, runTimeNs: 6n, hook: '' }],
          readWallNs: 7n,
          tableKeys: ['syscalls'],
          mergedWallMs: 8n,
          historyBoottimeNs: 9n,
          detachedWallNs: 0n,
          heardWallMs: 0n,
        },
      ],
      folded: [
        {
          probe: 'syscalls',
          table: 'syscalls',
          seen: 99n,
          overflow: 0n,
          failed: [0n, 0n, 0n, 0n],
          lost: 0n,
          quarantined: 0n,
          current: false,
          generation: 0n,
          retiredSeen: 0n,
          sealed: false,
          readBoottimeNs: 0n,
          excess: 0n,
        },
      ],
      unknown: [{ startWallNs: 1n, endWallNs: 0n, reason: 'reboot', probe: 'syscalls' }],
      quarantinedBatches: 1n,
      clockSkewMs: -4n,
    }),
  ),
  'checkpoint-series': proto(
    SeriesPage,
    of(SeriesPage, { first: 4096, labels: 2, values: ['read', 'bash', 'write', ''], count: 2 }),
  ),
  'checkpoint-window': proto(
    WindowBlob,
    of(WindowBlob, {
      startWallMs: 1_700_000_000_000n,
      lengthMs: 10_000n,
      hosts: [
        {
          host: 'web-1',
          columns: columns([[1, 5n]]),
          seen: 5n,
          failed: 0n,
          skipped: 0n,
          undivided: 0n,
          fromWallMs: 1_699_999_999_000n,
          toWallMs: 1_700_000_009_000n,
        },
      ],
    }),
  ),
  'checkpoint-quarantine': proto(
    Quarantine,
    of(Quarantine, {
      reasons: { 'wire/malformed': 2n },
      recent: [{ subject: 'muster.v1.batch.1.a', reason: 'wire/malformed', receivedWallMs: 5n, sizeBytes: 9 }],
    }),
  ),
};

/** The samples of one version's folder. */
export const samplesOf = (wireVersion: number): Readonly<Record<string, Sample>> => ({
  ...messages(wireVersion),
  ...(wireVersion === 1 ? checkpoints : {}),
});
