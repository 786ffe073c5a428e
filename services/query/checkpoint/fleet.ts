/**
 * The fleet as one request sees it: every partition at one version, joined. Hosts live in one partition each, so that
 * partitions of slightly different age still give one exact total. Holds only the blobs that the request needs. What is
 * made here is never changed: requests share it.
 */
import type { BlobName, HostRecord } from '../../shared/contract/checkpoint.ts';
import type { RowValues, SeriesValues, WindowHostValues } from '../../shared/contract/checkpoint-codec.ts';
import type { TableSchema } from '../../shared/contract/lineage.ts';
import type { DecodedBlob, Held, Lineage } from './blobs.ts';
import type { Dictionary, SeriesPageIds } from './dictionary.ts';

/** A partition's checkpoint at one version. */
export interface LoadedPartition {
  readonly partition: number;
  readonly version: bigint;
  readonly commitId: string;
  readonly committedMs: number;
  readonly blobs: readonly { readonly name: BlobName; readonly blob: DecodedBlob }[];
  /** Blobs that are damaged or gone. */
  readonly damaged: readonly string[];
}

/** A partition at one version, its blobs sorted by host. */
export interface PartitionHosts extends Omit<LoadedPartition, 'blobs'> {
  readonly hosts: readonly FleetHost[];
}

/** One host's part of one window, or of several that were added up. */
export interface HostWindow {
  readonly startMs: number;
  readonly lengthMs: number;
  readonly values: WindowHostValues;
}

/** A table of a host; empty where the request did not ask for its blobs. */
export interface HostTable {
  readonly key: string;
  readonly schema: TableSchema;
  readonly probe: string;
  readonly pages: SeriesPageIds[];
  readonly bases: { readonly values: SeriesValues; readonly held: Held }[];
  /** `lineage` is its key, as blob names spell it. */
  readonly lasts: {
    readonly lineage: string;
    readonly generation: bigint;
    readonly values: RowValues;
    readonly held: Held;
  }[];
  readonly windows: HostWindow[];
}

export interface FleetHost {
  readonly name: string;
  readonly record: HostRecord;
  readonly lineages: readonly Lineage[];
  readonly tables: ReadonlyMap<string, HostTable>;
  /** Forgotten, or silent for very long: off the lists; what it counted stays. */
  readonly gone: boolean;
}

export interface Fleet {
  /** By name. */
  readonly hosts: readonly FleetHost[];
  readonly dictionary: Dictionary;
  /** Names this state of all partitions: equal strings, equal answers. */
  readonly state: string;
  /** Newest commit of any partition, Unix ms; 0 when there is none. */
  readonly committedMs: number;
  readonly damaged: readonly string[];
}

/** `gone` tells whether a host that was last merged then is gone. */
export function joinHosts(
  partitions: readonly PartitionHosts[],
  dictionary: Dictionary,
  gone: (host: string, mergedMs: number) => boolean = () => false,
): Fleet {
  const hosts = partitions.flatMap((p) =>
    p.hosts.map((h) => (gone(h.name, Number(h.record.mergedWallMs)) ? { ...h, gone: true } : h)),
  );
  hosts.sort((a, b) => (a.name < b.name ? -1 : 1));
  const byNumber = [...partitions].sort((a, b) => a.partition - b.partition);
  return {
    hosts,
    dictionary,
    state: byNumber.map((p) => `${p.partition}:${p.version}:${p.commitId}`).join(' '),
    committedMs: partitions.reduce((newest, p) => Math.max(newest, p.committedMs), 0),
    damaged: byNumber.flatMap((p) => p.damaged.map((name) => `${p.partition}/${name}`)),
  };
}

/** The same from blobs. */
export const joinPartitions = (partitions: readonly LoadedPartition[], dictionary: Dictionary): Fleet =>
  joinHosts(
    partitions.map((p) => hostsOf(p)),
    dictionary,
  );

/** `summed`: windows in place of those among the blobs, by host, of tables by key. */
export function hostsOf(
  partition: LoadedPartition,
  summed?: ReadonlyMap<string, ReadonlyMap<string, HostWindow>>,
): PartitionHosts {
  const hosts = new Map<string, FleetHost & { readonly tables: Map<string, HostTable> }>();
  for (const { blob } of partition.blobs) {
    if (blob.kind !== 'host') continue;
    const tables = new Map<string, HostTable>();
    for (const { record, tables: schemas } of blob.lineages) {
      for (const [key, schema] of schemas) {
        if ((record.state === 'quarantined' || record.state === 'namesake') && tables.has(key)) continue;
        tables.set(key, { key, schema, probe: record.probe, pages: [], bases: [], lasts: [], windows: [] });
      }
    }
    const { record, lineages } = blob;
    hosts.set(record.host, { name: record.host, record, lineages, tables, gone: false });
  }
  for (const { name, blob } of partition.blobs) {
    if (name.kind === 'window' && blob.kind === 'window') {
      if (summed) continue;
      const { startMs, lengthMs } = blob.window;
      for (const values of blob.window.hosts)
        hosts.get(values.host)?.tables.get(name.table)?.windows.push({ startMs, lengthMs, values });
    } else if (name.kind === 'series' || name.kind === 'base' || name.kind === 'last') {
      const table = hosts.get(name.host)?.tables.get(name.table);
      if (!table) continue;
      if (blob.kind === 'series') table.pages.push(blob.page);
      else if (blob.kind === 'base') table.bases.push(blob);
      else if (name.kind === 'last' && blob.kind === 'last') {
        const { lineage, generation } = name;
        table.lasts.push({ lineage, generation, values: blob.values, held: blob.held });
      }
    }
  }
  for (const [key, byHost] of summed ?? [])
    for (const [host, window] of byHost) hosts.get(host)?.tables.get(key)?.windows.push(window);
  const { blobs: _, ...rest } = partition;
  return { ...rest, hosts: [...hosts.values()] };
}
