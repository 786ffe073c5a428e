/**
 * Port CheckpointReader on Redis: what the query service sees. A view is one MULTI, so that head and names belong
 * together; blobs are read in one with the head and their digests, and are 'moved' when that head is another.
 */
import type { CheckpointReader, CheckpointView, StoredHead } from '../runtime/ports/checkpoint-store.ts';
import { blobDigest, decodeHead } from '../contract/checkpoint-codec.ts';
import { connectRedis, type RedisLink, type RedisOptions } from './redis-connection.ts';
import { partitionKeys } from './redis-scripts.ts';

export function createRedisCheckpointReader(options: RedisOptions): CheckpointReader {
  const link = connectRedis(options);
  /** Commit id of the newest view by partition: an undone commit's version number comes again with another id. */
  const viewed = new Map<number, StoredHead>();
  return {
    heads: (partitions) => heads(link, partitions),
    view: async (partition) => {
      const view = await readView(link, partition);
      if (view) viewed.set(partition, view.head);
      return view;
    },
    blobs: (partition, version, names) => blobs(link, partition, version, viewed.get(partition), names),
    close: () => link.close(),
  };
}

type HeadFields = (Buffer | null)[];

/** Undefined where there is none; throws store/newer-format where a newer Muster wrote it. */
function headOf([version, commit, head]: HeadFields): StoredHead | undefined {
  if (!version || !commit || !head) return undefined;
  decodeHead(head);
  return { version: BigInt(version.toString()), commitId: commit.toString(), head };
}

/** Replies of a pipeline or MULTI, or the first error. */
function unwrap(link: RedisLink, what: string, replies: [Error | null, unknown][] | null): unknown[] {
  if (!replies) throw link.translate(what, new Error('transaction aborted'));
  return replies.map(([error, reply]) => {
    if (error) throw link.translate(what, error);
    return reply;
  });
}

async function heads(link: RedisLink, partitions: readonly number[]): Promise<Map<number, StoredHead>> {
  const what = 'read heads';
  // Not a pipeline: of a cluster the partitions lie on several servers. They leave in one write all the same.
  const replies = await link.send(what, (c) =>
    Promise.all(partitions.map((p) => c.hmgetBuffer(partitionKeys(p).head, 'version', 'commit', 'head'))),
  );
  const found = new Map<number, StoredHead>();
  for (const [i, partition] of partitions.entries()) {
    const head = headOf(replies[i]!);
    if (head) found.set(partition, head);
  }
  return found;
}

async function readView(link: RedisLink, partition: number): Promise<CheckpointView | undefined> {
  const what = `read checkpoint of partition ${partition}`;
  const keys = partitionKeys(partition);
  const replies = unwrap(
    link,
    what,
    await link.send(what, (c) =>
      c.multi().hmgetBuffer(keys.head, 'version', 'commit', 'head').hgetall(keys.names).exec(),
    ),
  );
  const head = headOf(replies[0] as HeadFields);
  if (!head) return undefined;
  const names = new Map<string, { digest: string; bytes: number }>();
  for (const [name, stamp] of Object.entries(replies[1] as Record<string, string>)) {
    const [digest, bytes] = stamp.split(':');
    names.set(name, { digest: digest!, bytes: Number(bytes) });
  }
  return { partition, head, names };
}

async function blobs(
  link: RedisLink,
  partition: number,
  version: bigint,
  viewed: StoredHead | undefined,
  names: readonly string[],
): Promise<(Uint8Array | undefined)[] | 'moved'> {
  if (names.length === 0) return [];
  const what = `read checkpoint of partition ${partition}`;
  const keys = partitionKeys(partition);
  const run = link.client
    .multi()
    .hmget(keys.head, 'version', 'commit')
    .hmget(keys.names, ...names)
    .mgetBuffer(...names.map(keys.current));
  const [head, stamps, found] = unwrap(link, what, await link.send(what, () => run.exec())) as [
    (string | null)[],
    (string | null)[],
    (Buffer | null)[],
  ];
  if (head[0] !== String(version) || (viewed?.version === version && viewed.commitId !== head[1])) return 'moved';
  return found.map((blob, i) => {
    if (!blob) return undefined;
    // A damaged blob is no blob: the aggregator, which can, falls back when it next loads.
    return stamps[i] === `${blobDigest(blob)}:${blob.length}` ? blob : undefined;
  });
}
