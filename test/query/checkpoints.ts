/** Checkpoints of a small fleet, made by hand: what the query tests ask about. */
import { decodeBlob } from '../../services/query/checkpoint/blobs.ts';
import { Dictionary } from '../../services/query/checkpoint/dictionary.ts';
import { joinPartitions, type Fleet, type LoadedPartition } from '../../services/query/checkpoint/fleet.ts';
import { bucketOf } from '../../services/shared/algebra/histogram.ts';
import { setBigInt } from '../../services/shared/algebra/limbs.ts';
import {
  formatBlobName,
  HostRecord,
  parseBlobName,
  type BlobName,
  type ProgramRecord,
  type UnknownSpan,
} from '../../services/shared/contract/checkpoint.ts';
import {
  encodeLast,
  encodeSeriesPage,
  encodeSeriesValues,
  encodeWindow,
  type WindowHostValues,
} from '../../services/shared/contract/checkpoint-codec.ts';
import type { Sampled } from '../../services/shared/algebra/sampling.ts';
import type { TableSchema } from '../../services/shared/contract/lineage.ts';

const label = (name: string, meaning: string, offset: number) => ({ name, meaning, offset, size: 8 });
const sizes = { rows: 100, hints: 16, keyWords: 2 };

export const syscalls: TableSchema = {
  ...sizes,
  name: 'syscalls',
  kind: 'counter',
  unit: 'calls',
  help: 'System calls entered',
  valueCount: 1,
  labels: [label('syscall', 'syscall', 0), label('comm', 'comm', 8)],
};
export const runqueue: TableSchema = {
  ...sizes,
  name: 'runqueue',
  kind: 'histogram',
  unit: 'ns',
  help: 'Time from runnable to running',
  valueCount: 2,
  labels: [label('comm', 'comm', 0), label('bucket', 'bucket', 8)],
};

/** Labels in schema order, then the value (and the sum). */
export interface CountedRow {
  readonly labels: readonly string[];
  readonly values: readonly bigint[];
}

export interface TableFill {
  readonly schema: TableSchema;
  readonly rows: readonly CountedRow[];
  /** Value of the overflow row. */
  readonly overflow?: bigint;
  /** What of the rows came in which window; absent: nothing is in windows. */
  readonly windows?: readonly {
    readonly startMs: number;
    readonly rows: readonly CountedRow[];
    readonly overflow?: bigint;
    /** Kept by second: its second, and what could not be told. */
    readonly overflowSecond?: number;
    readonly undivided?: bigint;
    readonly sampled?: Sampled;
  }[];
  /** What of its generation was sampled. */
  readonly sampled?: Sampled;
  /** Added to what the ledger says was seen. */
  readonly seenMore?: bigint;
  readonly lost?: bigint;
  /** Put the rows into base (folded) instead of last. */
  readonly folded?: boolean;
  /** Its generation is final and still open. */
  readonly sealed?: boolean;
}

export interface HostFill {
  readonly host: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly tables: readonly TableFill[];
  readonly mergedMs?: number;
  readonly readMs?: number;
  readonly createdMs?: number;
  readonly unknown?: readonly UnknownSpan[];
  readonly skipped?: bigint | undefined;
  readonly synthetic?: boolean;
  readonly limitedRows?: Readonly<Record<string, bigint>>;
  /** When its programs were detached. */
  readonly detachedMs?: number;
  /** Messages refused. */
  readonly refused?: bigint;
  /** What the kernel timed of each lineage's program. */
  readonly measured?: Partial<ProgramRecord>;
  readonly kernelBytes?: bigint;
  readonly clockSkewMs?: number;
  readonly missing?: HostRecord['missing'];
  /** A second lineage of each probe, of another boot, set aside. */
  readonly namesake?: { readonly mergedMs: number };
}

export const nowMs = Date.UTC(2026, 0, 31, 12, 0, 5);
const uuid = Buffer.alloc(16, 7);

/** Blobs of a host by name. */
export function blobsOf(fill: HostFill): Map<string, Uint8Array> {
  const blobs = new Map<string, Uint8Array>();
  const put = (name: BlobName, bytes: Uint8Array): void => void blobs.set(formatBlobName(name), bytes);
  const { host } = fill;
  const readNs = BigInt(fill.readMs ?? nowMs - 500) * 1_000_000n;
  const createdWallNs = BigInt(fill.createdMs ?? nowMs - 600_000) * 1_000_000n;
  const mergedWallMs = BigInt(fill.mergedMs ?? nowMs - 300);
  const probes = fill.tables.map(
    ({ schema, rows, overflow = 0n, seenMore = 0n, lost = 0n, folded = false, sealed = false, sampled }) => {
      const held = rows.reduce((n, r) => n + r.values[0]!, overflow);
      const ledger = {
        probe: schema.name,
        table: schema.name,
        seen: held + seenMore + lost,
        overflow,
        failed: [overflow, 0n, 0n, 0n],
        lost,
        quarantined: 0n,
        current: !folded,
        generation: folded ? 0n : 1n,
        retiredSeen: 0n,
        sealed,
        readBoottimeNs: 5n,
        excess: 0n,
        ...(sampled ? { sampled } : {}),
      };
      return {
        uuid,
        bootId: Buffer.alloc(16, 1),
        probe: schema.name,
        createdBoottimeNs: 1n,
        createdWallNs,
        schemaHash: 1n,
        schemaJson: JSON.stringify([schema]),
        generation: 1n,
        foldedThrough: 0n,
        readBoottimeNs: 5n,
        state: 'live',
        ledgers: [ledger],
        programs: [
          {
            program: 'p',
            skipped: 'skipped' in fill ? fill.skipped : 0n,
            runs: 0n,
            runTimeNs: 0n,
            hook: '',
            ...fill.measured,
          },
        ],
        ...(fill.kernelBytes === undefined ? {} : { kernelBytes: fill.kernelBytes }),
        readWallNs: readNs,
        tableKeys: [schema.name],
        mergedWallMs,
        historyBoottimeNs: 0n,
        detachedWallNs: BigInt(fill.detachedMs ?? 0) * 1_000_000n,
        heardWallMs: 0n,
      };
    },
  );
  const { namesake } = fill;
  const namesakes =
    namesake === undefined
      ? []
      : probes.map((p) => ({
          ...p,
          uuid: Buffer.alloc(16, 8),
          bootId: Buffer.alloc(16, 2),
          state: 'namesake',
          ledgers: p.ledgers.map((l) => ({ ...l, seen: 0n, overflow: 0n, current: false, quarantined: 9n })),
          mergedWallMs: BigInt(namesake.mergedMs),
        }));
  put(
    { kind: 'host', host },
    HostRecord.encode({
      host,
      labels: { ...fill.labels },
      kernelRelease: '6.1.0-test',
      bootId: Buffer.alloc(16, 1),
      readWallNs: readNs,
      mergedWallMs,
      intervalNs: 1_000_000_000n,
      lineages: [...probes, ...namesakes] as never,
      folded: [],
      unknown: [...(fill.unknown ?? [])],
      synthetic: fill.synthetic ?? false,
      quarantinedBatches: fill.refused ?? 0n,
      clockSkewMs: BigInt(fill.clockSkewMs ?? 0),
      missing: [...(fill.missing ?? [])],
      limitedRows: fill.limitedRows ?? {},
    }).finish(),
  );
  for (const table of fill.tables) {
    const { schema } = table;
    const all = [...table.rows, ...(table.windows ?? []).flatMap((w) => w.rows)];
    const series = new Map<string, number>();
    const texts: string[] = schema.labels.map(() => '');
    for (const { labels } of all) {
      const key = JSON.stringify(labels);
      if (!series.has(key)) {
        series.set(key, series.size + 1);
        texts.push(...labels);
      }
    }
    put(
      { kind: 'series', host, table: schema.name, page: 0 },
      encodeSeriesPage({ first: 0, count: series.size + 1, labelCount: schema.labels.length, values: texts }),
    );
    const valuesOf = (rows: readonly CountedRow[], overflow: bigint, overflowSecond?: number) => {
      const found = new Map<number, bigint[]>();
      const unlabelled = Array.from({ length: schema.valueCount }, (_, v) =>
        v === 0 || v - 1 === overflowSecond ? overflow : 0n,
      );
      if (overflow > 0n) found.set(0, unlabelled);
      for (const r of rows) {
        const id = series.get(JSON.stringify(r.labels))!;
        found.set(
          id,
          r.values.map((v, i) => v + (found.get(id)?.[i] ?? 0n)),
        );
      }
      const ids = [...found.keys()].sort((a, b) => a - b);
      const values = new Uint32Array(ids.length * schema.valueCount * 2);
      ids.forEach((id, r) => found.get(id)!.forEach((v, c) => setBigInt(values, (c * ids.length + r) * 2, v)));
      return { count: ids.length, valueCount: schema.valueCount, series: Uint32Array.from(ids), values };
    };
    const life = valuesOf(table.rows, table.overflow ?? 0n);
    if (table.folded) put({ kind: 'base', host, table: schema.name }, encodeSeriesValues(life));
    else {
      const rows = Uint32Array.from({ length: life.count }, (_, i) => i);
      put(
        {
          kind: 'last',
          host,
          lineage: `${'01'.repeat(16)}${'07'.repeat(16)}`,
          generation: 1n,
          table: schema.name,
          page: 0,
        },
        encodeLast({ ...life, rows }),
      );
    }
    for (const { startMs, rows, overflow = 0n, overflowSecond, undivided, sampled } of table.windows ?? []) {
      const part: WindowHostValues = {
        host,
        increments: valuesOf(rows, overflow, overflowSecond),
        ...(undivided === undefined ? {} : { undivided }),
        seen: rows.reduce((n, r) => n + r.values[0]!, overflow),
        failed: overflow,
        skipped: 0n,
        ...(sampled ? { sampled } : {}),
        fromMs: startMs,
        toMs: startMs + 9000,
      };
      put(
        { kind: 'window', tier: '10s', startMs, table: schema.name, part: 0 },
        encodeWindow({ startMs, lengthMs: 10_000, hosts: [part] }),
      );
    }
  }
  return blobs;
}

/** Observations as histogram rows of one comm. */
export function observed(comm: string, values: readonly bigint[]): CountedRow[] {
  const buckets = new Map<number, [bigint, bigint]>();
  for (const v of values) {
    const [count, sum] = buckets.get(bucketOf(v)) ?? [0n, 0n];
    buckets.set(bucketOf(v), [count + 1n, sum + v]);
  }
  return [...buckets].map(([bucket, sums]) => ({ labels: [comm, String(bucket)], values: sums }));
}

/** The fleet that the core sees, every blob loaded; one partition a host, so that names cannot collide. */
export function fleetOf(fills: readonly HostFill[], committedMs = nowMs - 200): Fleet {
  const dictionary = new Dictionary();
  const partitions = fills.map((fill, partition): LoadedPartition => ({
    partition,
    version: 1n,
    commitId: `c${partition}`,
    committedMs,
    damaged: [],
    blobs: [...blobsOf(fill)].map(([text, bytes]) => ({
      name: parseBlobName(text),
      blob: decodeBlob(parseBlobName(text), bytes, dictionary),
    })),
  }));
  return joinPartitions(partitions, dictionary);
}
