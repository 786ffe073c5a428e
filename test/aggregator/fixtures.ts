/** Batches as an agent would send them, from a small model of a host's kernel; and totals as the query service reads them. */
import { Batch, encodeBatch } from '../../services/shared/contract/batch.ts';
import { parseBlobName } from '../../services/shared/contract/checkpoint.ts';
import {
  decodeBase,
  decodeHost,
  decodeLast,
  decodeSeriesPage,
  decodeWindow,
} from '../../services/shared/contract/checkpoint-codec.ts';
import { emptyColumns, encodeColumns } from '../../services/shared/contract/columns.ts';
import { wireNewest } from '../../services/shared/contract/wire.ts';
import { schemaHash, type TableSchema } from '../../services/shared/contract/lineage.ts';
import { batchSubject, partitionOf } from '../../services/shared/contract/subjects.ts';
import type { CommitRequest, LoadedCheckpoint } from '../../services/shared/runtime/ports/checkpoint-store.ts';
import type { SeriesLimits } from '../../services/aggregator/merge/limits.ts';
import { createPartition, type Partition, type PartitionEffect, step } from '../../services/aggregator/partition.ts';

export const secondNs = 1_000_000_000n;
/** A wall clock in the middle of a window. */
export const epochMs = 1_700_000_000_000;

export const counterTable = (name = 'syscalls', labels = ['comm']): TableSchema => ({
  name,
  kind: 'counter',
  unit: 'calls',
  help: '',
  rows: 1000,
  hints: 64,
  keyWords: 2,
  valueCount: 1,
  labels: labels.map((label, i) => ({ name: label, meaning: 'comm', offset: i * 16, size: 16 })),
});

export interface LineageOptions {
  readonly host?: string;
  readonly probe?: string;
  readonly uuid?: number;
  readonly boot?: number;
  readonly createdS?: number;
  readonly tables?: readonly TableSchema[];
}

/** One lineage as its kernel has it: what batch() says is what it counted. One value a row. */
export class ModelLineage {
  readonly host: string;
  readonly tables: readonly TableSchema[];
  readonly rows = new Map<number, { labels: string[]; value: bigint }>();
  overflow = 0n;
  generation = 1n;
  retired = 0n;
  sequence = 0n;
  /** When its programs were detached. */
  detachedWallNs = 0n;

  constructor(private readonly options: LineageOptions = {}) {
    this.host = options.host ?? 'web-1';
    this.tables = options.tables ?? [counterTable()];
  }

  get partition(): number {
    return partitionOf(this.host);
  }

  get schemaHash(): bigint {
    return schemaHash(this.tables);
  }

  get seen(): bigint {
    let sum = this.overflow;
    for (const row of this.rows.values()) sum += row.value;
    return sum;
  }

  count(label: string, n: bigint | number): void {
    for (const row of this.rows.values()) {
      if (row.labels[0] !== label) continue;
      row.value += BigInt(n);
      return;
    }
    this.rows.set(this.rows.size + 1, { labels: [label], value: BigInt(n) });
  }

  seal(): void {
    this.retired += this.seen;
    this.rows.clear();
    this.overflow = 0n;
    this.generation++;
  }

  /** The batch of a read at `atS` seconds of boot time. `only`: the rows sent, with their definitions unless `bare`. */
  message(
    atS: number,
    more: Partial<Batch> & { only?: readonly number[]; bare?: boolean } = {},
  ): { subject: string; payload: Uint8Array } {
    const { only, bare, ...fields } = more;
    const ids = [...this.rows.keys()].filter((id) => !only || only.includes(id)).sort((a, b) => a - b);
    const all = this.overflow > 0n ? [0, ...ids] : ids;
    const columns = emptyColumns(this.tables[0]!.labels.length, 1, all.length);
    columns.rowCount = all.length;
    for (const [i, id] of all.entries()) {
      const value = id === 0 ? this.overflow : this.rows.get(id)!.value;
      columns.ids[i] = id;
      columns.values[i * 2] = Number(value & 0xffffffffn);
      columns.values[i * 2 + 1] = Number(value >> 32n);
      if (id > 0 && !bare) columns.definitions.push({ id, labels: this.rows.get(id)!.labels });
    }
    const keyframe = fields.keyframe ?? !only;
    const batch: Batch = {
      ...Batch.decode(new Uint8Array()),
      wireVersion: wireNewest,
      host: this.host,
      lineage: {
        probe: this.options.probe ?? 'syscalls',
        uuid: Buffer.alloc(16, this.options.uuid ?? 1),
        bootId: Buffer.alloc(16, this.options.boot ?? 9),
        createdBoottimeNs: BigInt(this.options.createdS ?? 0) * secondNs,
        createdWallNs: BigInt(epochMs) * 1_000_000n + BigInt(this.options.createdS ?? 0) * secondNs,
        detachedWallNs: this.detachedWallNs,
        schemaHash: this.schemaHash,
      },
      generation: this.generation,
      keyframe,
      part: 1,
      parts: 1,
      sequence: ++this.sequence,
      readBoottimeNs: BigInt(Math.round(atS * 1e9)),
      readWallNs: BigInt(epochMs) * 1_000_000n + BigInt(Math.round(atS * 1e9)),
      intervalNs: secondNs,
      tables: [
        {
          table: this.tables[0]!.name,
          ledger: { seen: this.seen, failed: [this.overflow, 0n, 0n, 0n] },
          retiredSeen: this.retired,
          columns: Buffer.from(encodeColumns(columns)),
        },
      ],
      schemaJson: keyframe ? JSON.stringify(this.tables) : '',
      ...fields,
    };
    return { subject: batchSubject(this.host), payload: encodeBatch(batch) };
  }
}

/** A core with a store that holds one partition's blobs. */
export class Bench {
  core: Partition;
  blobs = new Map<string, Uint8Array>();
  head: CommitRequest['next'] | undefined;
  effects: PartitionEffect[] = [];
  nowMs = epochMs;
  private sequence = 0n;
  private starts = 0;

  constructor(
    readonly partition: number,
    public limits?: SeriesLimits,
  ) {
    this.core = this.start();
  }

  /** A new process on what the store has. */
  start(streamIdentity = 'stream'): Partition {
    this.core = createPartition({
      partition: this.partition,
      nonce: `n${++this.starts}`,
      ...(this.limits ? { limits: this.limits } : {}),
    });
    this.feed(step(this.core, { kind: 'loaded', checkpoint: this.loaded(), streamIdentity, nowMs: this.nowMs }));
    return this.core;
  }

  loaded(): LoadedCheckpoint | undefined {
    return (
      this.head && {
        head: this.head,
        blobs: new Map(this.blobs),
        names: [...this.blobs.keys()],
        fellBack: false,
        damaged: [],
      }
    );
  }

  batch(message: { subject: string; payload: Uint8Array }, atMs = this.nowMs): PartitionEffect[] {
    return this.feed(
      step(this.core, { kind: 'batch', ...message, sequence: ++this.sequence, nowMs: atMs, storedMs: atMs }),
    );
  }

  /** Commits and answers as the store would. */
  commit(): PartitionEffect[] {
    return this.feed(step(this.core, { kind: 'commit-due', nowMs: this.nowMs }));
  }

  feed(effects: PartitionEffect[]): PartitionEffect[] {
    this.effects.push(...effects);
    const out = [...effects];
    for (const e of effects) {
      if (e.kind !== 'commit') continue;
      this.store(e.request);
      out.push(...this.feed(step(this.core, { kind: 'committed', nowMs: this.nowMs })));
    }
    return out;
  }

  store(request: CommitRequest): void {
    for (const name of request.drop) this.blobs.delete(name);
    for (const [name, blob] of request.put) this.blobs.set(name, blob);
    this.head = request.next;
  }

  get totals(): Record<string, bigint> {
    return lifetimeTotals(this.blobs);
  }
}

/** Lifetime totals by "host/table/labels" as the checkpoint says: base + Σ last. Zero totals left out. */
export function lifetimeTotals(blobs: ReadonlyMap<string, Uint8Array>): Record<string, bigint> {
  const labels = labelsBySeries(blobs);
  const totals: Record<string, bigint> = {};
  const add = (key: string, series: number, value: bigint): void => {
    if (value > 0n)
      totals[`${key}/${nameOf(labels, key, series)}`] = (totals[`${key}/${nameOf(labels, key, series)}`] ?? 0n) + value;
  };
  for (const [text, blob] of blobs) {
    const name = parseBlobName(text);
    if (name.kind === 'base') {
      const base = decodeBase(blob);
      for (let i = 0; i < base.count; i++) add(`${name.host}/${name.table}`, base.series[i]!, limb(base.values, i));
    } else if (name.kind === 'last') {
      const last = decodeLast(blob);
      for (let i = 0; i < last.count; i++) add(`${name.host}/${name.table}`, last.series[i]!, limb(last.values, i));
    }
  }
  return sorted(totals);
}

/** Sums over all windows, likewise. */
export function windowTotals(blobs: ReadonlyMap<string, Uint8Array>): Record<string, bigint> {
  const labels = labelsBySeries(blobs);
  const totals: Record<string, bigint> = {};
  for (const [text, blob] of blobs) {
    const name = parseBlobName(text);
    if (name.kind !== 'window') continue;
    for (const host of decodeWindow(blob).hosts) {
      const key = `${host.host}/${name.table}`;
      for (let i = 0; i < host.increments.count; i++) {
        const full = `${key}/${nameOf(labels, key, host.increments.series[i]!)}`;
        totals[full] = (totals[full] ?? 0n) + limb(host.increments.values, i);
      }
    }
  }
  return sorted(Object.fromEntries(Object.entries(totals).filter(([, v]) => v > 0n)));
}

export const hostRecord = (blobs: ReadonlyMap<string, Uint8Array>, host = 'web-1'): ReturnType<typeof decodeHost> =>
  decodeHost(blobs.get(`host/${host}`)!);

export const tells = (
  effects: readonly PartitionEffect[],
  kind: 'resync' | 'durable' | 'refused',
): Extract<PartitionEffect, { kind: 'tell' }>[] =>
  effects.filter(
    (e): e is Extract<PartitionEffect, { kind: 'tell' }> => e.kind === 'tell' && e.subject.includes(`.${kind}.`),
  );

const limb = (values: Uint32Array, i: number): bigint => (BigInt(values[i * 2 + 1]!) << 32n) | BigInt(values[i * 2]!);
const sorted = (o: Record<string, bigint>): Record<string, bigint> =>
  Object.fromEntries(Object.entries(o).sort(([a], [b]) => (a < b ? -1 : 1)));
const nameOf = (labels: Map<string, string[][]>, key: string, series: number): string =>
  series === 0 ? '*' : (labels.get(key)?.[series]?.join(',') ?? `?${series}`);

function labelsBySeries(blobs: ReadonlyMap<string, Uint8Array>): Map<string, string[][]> {
  const found = new Map<string, string[][]>();
  for (const [text, blob] of blobs) {
    const name = parseBlobName(text);
    if (name.kind !== 'series') continue;
    const page = decodeSeriesPage(blob);
    const list = found.get(`${name.host}/${name.table}`) ?? [];
    for (let i = 0; i < page.count; i++)
      list[page.first + i] = page.values.slice(i * page.labelCount, (i + 1) * page.labelCount);
    found.set(`${name.host}/${name.table}`, list);
  }
  return found;
}
