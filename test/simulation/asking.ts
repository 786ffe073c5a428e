/** Asks the real query core what a caller would: its answers must be what the codecs read, and never claim too much. */
import { decodeBlob } from '../../services/query/checkpoint/blobs.ts';
import { Dictionary } from '../../services/query/checkpoint/dictionary.ts';
import { joinPartitions, type Fleet } from '../../services/query/checkpoint/fleet.ts';
import { finish, Query } from '../../services/query/query.ts';
import type { QueryResponse } from '../../services/shared/contract/query.ts';
import { decodeHead } from '../../services/shared/contract/checkpoint-codec.ts';
import { parseBlobName } from '../../services/shared/contract/checkpoint.ts';
import { seriesOf } from './catalogue.ts';
import type { SimStore } from './store.ts';

export function readFleet(store: SimStore): Fleet {
  const dictionary = new Dictionary();
  const partitions = store.partitionNumbers.map((partition) => {
    const view = store.view(partition)!;
    const damaged: string[] = [];
    const blobs = [...view.names.keys()].flatMap((text) => {
      const bytes = store.blob(partition, text);
      if (!bytes) damaged.push(text);
      const name = parseBlobName(text);
      return bytes ? [{ name, blob: decodeBlob(name, bytes, dictionary) }] : [];
    });
    const { version, commitId, head } = view.head;
    return { partition, version, commitId, committedMs: Number(decodeHead(head).committedWallMs), blobs, damaged };
  });
  return joinPartitions(partitions, dictionary);
}

export interface Answer {
  /** By series, as the catalogue names them; a histogram's buckets are summed. */
  readonly rows: ReadonlyMap<string, bigint>;
  readonly total: bigint;
  readonly exact: boolean;
  readonly lost: bigint;
  readonly response: QueryResponse;
}

const none = { startTime: undefined, endTime: undefined, orderBy: '', pageSize: 1000, pageToken: '' };

/** Lifetime totals of one metric, of one host or of all. */
export function askTotals(
  fleet: Fleet,
  metric: string,
  host: string | undefined,
  labels: readonly string[],
  nowMs: number,
): Answer {
  const query = new Query();
  const request = {
    ...none,
    metric,
    selector: host === undefined ? '' : `host=${JSON.stringify(host)}`,
    groupBy: [...labels],
    range: 'all',
  };
  const response = finish(query.answer('Query', request, fleet, nowMs));
  const rows = new Map(response.rows.map((r) => [seriesOf(labels.map((l) => r.labels[l] ?? '')), BigInt(r.value)]));
  return {
    rows,
    total: BigInt(response.total),
    exact: response.coverage?.exact ?? false,
    lost: BigInt(response.coverage?.ledger?.lost ?? 0),
    response,
  };
}
