/** Asks the real query core what a caller would: its answers must be what the codecs read, and never claim too much. */
import { metricsOf } from '../../services/query/answer/metric.ts';
import { decodeBlob } from '../../services/query/checkpoint/blobs.ts';
import { Dictionary } from '../../services/query/checkpoint/dictionary.ts';
import { joinPartitions, type Fleet } from '../../services/query/checkpoint/fleet.ts';
import { finish, Query } from '../../services/query/query.ts';
import { decodeHead } from '../../services/shared/contract/checkpoint-codec.ts';
import { parseBlobName } from '../../services/shared/contract/checkpoint.ts';
import { seriesOf } from './catalogue.ts';
import type { SimStore } from './store.ts';

/** What lifetime totals need of all partitions. */
export function readFleet(store: SimStore): Fleet {
  const dictionary = new Dictionary();
  const partitions = store.partitionNumbers.map((partition) => {
    const { version, commitId, head } = store.head(partition)!;
    const blobs = [...store.sound(partition)].flatMap(([text, bytes]) => {
      const name = parseBlobName(text);
      return name.kind === 'window' ? [] : [{ name, blob: decodeBlob(name, bytes, dictionary) }];
    });
    const committedMs = Number(decodeHead(head).committedWallMs);
    return { partition, version, commitId, committedMs, blobs, damaged: store.damaged(partition) };
  });
  return joinPartitions(partitions, dictionary);
}

export interface Answer {
  /** By the values of the metric's labels, joined; a histogram's buckets are summed. */
  readonly rows: ReadonlyMap<string, bigint>;
  /** The row of a series with these labels. */
  readonly nameOf: (labels: Readonly<Record<string, string>>) => string;
  readonly total: bigint;
  readonly exact: boolean;
  readonly lost: bigint;
}

const none = { startTime: undefined, endTime: undefined, orderBy: '', pageSize: 1000, pageToken: '' };

/** Lifetime totals of one metric of one host, by all labels; undefined while nobody has heard of the metric. */
export function askTotals(fleet: Fleet, metric: string, host: string, nowMs: number): Answer | undefined {
  const labels = metricsOf(fleet).get(metric)?.labels;
  if (!labels) return undefined;
  const selector = `host=${JSON.stringify(host)}`;
  const request = { ...none, metric, selector, groupBy: [...labels], range: 'all' };
  const response = finish(new Query().answer('Query', request, fleet, nowMs));
  const nameOf = (of: Readonly<Record<string, string>>): string => seriesOf(labels.map((l) => of[l] ?? ''));
  return {
    rows: new Map(response.rows.map((r) => [nameOf(r.labels), BigInt(r.value)])),
    nameOf,
    total: BigInt(response.total),
    exact: response.coverage?.exact ?? false,
    lost: BigInt(response.coverage?.ledger?.lost ?? 0),
  };
}
