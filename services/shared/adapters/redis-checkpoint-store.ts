/**
 * Port CheckpointStore on Redis. One commit is one EVAL: a compare-and-set on version and commit id. A reply that was
 * lost is resolved by reading the head. Every blob is checked against its digest on load; the newest checkpoint is
 * undone when a blob of it is damaged (redis-scripts.ts draws the keys).
 */
import { MusterError } from '../runtime/errors.ts';
import type {
  CheckpointStore,
  CommitOutcome,
  CommitRequest,
  LoadedCheckpoint,
  StoredHead,
} from '../runtime/ports/checkpoint-store.ts';
import { checkpointFormat, CheckpointHead } from '../contract/checkpoint.ts';
import { blobDigest, decodeHead } from '../contract/checkpoint-codec.ts';
import { connectRedis, isRefusal, type RedisLink, type RedisOptions } from './redis-connection.ts';
import { commitScript, type PartitionKeys, partitionKeys, undoScript } from './redis-scripts.ts';

/** Blobs read in one command. */
const readNamesMax = 256;
/** How long a lost reply is looked into before the commit counts as failed. */
const resolveMs = 3000;
/** Loads begun anew when another writer is at work. */
const loadTriesMax = 5;

interface RawHead {
  readonly version: string;
  readonly commit: string;
  readonly head: Buffer;
  readonly digest: string;
  readonly changed: string;
}

export function createRedisCheckpointStore(options: RedisOptions): CheckpointStore {
  const link = connectRedis(options);
  return {
    verify: () => verify(link, options),
    load: (partition, wanted = () => true) => load(link, partitionKeys(partition), wanted),
    commit: (request) => commit(link, request),
    close: () => link.close(),
  };
}

/** Each server that takes writes must keep them. */
async function verify(link: RedisLink, { address, log }: RedisOptions): Promise<void> {
  await link.usable(resolveMs);
  // Says what is wrong where there is no connection at all.
  await link.send('check store', (c) => c.hget(partitionKeys(0).head, 'version'));
  const infos = await link.send('check store', () => Promise.all(link.masters().map((server) => server.info())));
  for (const info of infos) {
    const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
    const policy = field('maxmemory_policy');
    if (policy !== undefined && policy !== 'noeviction') {
      throw new MusterError('store/unfit', 'check store: it evicts', {
        values: { redis: address, 'maxmemory-policy': policy },
      });
    }
    if (field('aof_enabled') === '0')
      log.warn(
        { redis: address },
        'store has no append-only file: what it lost at a crash comes back by resync, without its windows',
      );
  }
}

/** The digest of a blob with its length: "deadbeef:42". */
const stamp = (blob: Uint8Array): string => `${blobDigest(blob)}:${blob.length}`;

async function commit(link: RedisLink, request: CommitRequest): Promise<CommitOutcome> {
  const { expected, next, put, drop } = request;
  const keys = partitionKeys(request.partition);
  const args: (string | Buffer)[] = [
    keys.prefix,
    expected ? String(expected.version) : '',
    expected?.commitId ?? '',
    String(next.version),
    next.commitId,
    asBuffer(next.head),
    stamp(next.head),
    String(put.size),
  ];
  for (const [name, blob] of put) args.push(name, stamp(blob), asBuffer(blob));
  args.push(...drop);
  const what = `commit checkpoint of partition ${request.partition}`;
  try {
    const [outcome, version, commitId] = (await link.client.eval(
      commitScript,
      2,
      keys.head,
      keys.names,
      ...args,
    )) as string[];
    if (outcome === 'committed') return { kind: 'committed' };
    if (commitId === next.commitId) return { kind: 'committed' };
    return { kind: 'conflict', found: version === '' ? undefined : { version: BigInt(version!), commitId: commitId! } };
  } catch (cause) {
    if (isRefusal(cause)) throw link.translate(what, cause);
    return resolve(link, keys, request, link.translate(what, cause));
  }
}

/** The reply is lost: the head says whether the commit took place. Where it says "not (yet)", the caller tries again. */
async function resolve(
  link: RedisLink,
  keys: PartitionKeys,
  { expected, next }: CommitRequest,
  lost: MusterError,
): Promise<CommitOutcome> {
  if (!(await link.usable(resolveMs))) throw lost;
  const [version, commitId] = await link.send('read head after a lost reply', (c) =>
    c.hmget(keys.head, 'version', 'commit'),
  );
  if (commitId === next.commitId) return { kind: 'committed' };
  if ((version ?? '') === (expected ? String(expected.version) : '') && (commitId ?? '') === (expected?.commitId ?? ''))
    throw lost;
  return {
    kind: 'conflict',
    found: !version ? undefined : { version: BigInt(version), commitId: commitId ?? '' },
  };
}

async function load(
  link: RedisLink,
  keys: PartitionKeys,
  wanted: (name: string) => boolean,
): Promise<LoadedCheckpoint | undefined> {
  let fellBack = false;
  for (let tries = 0; tries < loadTriesMax; tries++) {
    const found = await readHead(link, keys);
    if (!found) return undefined;
    const { raw, names } = found;
    const read = await readBlobs(link, keys, names, wanted);
    const after = await link.send('load checkpoint', (c) => c.hget(keys.head, 'commit'));
    if (after !== raw.commit) continue;
    const changed = new Set([...raw.changed.matchAll(/^([^\t\n]+)\t/gm)].map((m) => m[1]!));
    const headDamaged = stamp(raw.head) !== raw.digest;
    if ((headDamaged && raw.changed !== '') || read.damaged.some((name) => changed.has(name))) {
      await undo(link, keys, raw);
      fellBack = true;
      continue;
    }
    const head = headDamaged ? rebuiltHead(raw) : raw.head;
    if (!headDamaged) decodeHead(head);
    const stored: StoredHead = { version: BigInt(raw.version), commitId: raw.commit, head };
    const lost = new Set(read.damaged);
    return {
      head: stored,
      blobs: read.blobs,
      names: [...names.keys()].filter((n) => !lost.has(n)),
      fellBack,
      damaged: read.damaged,
    };
  }
  throw new MusterError('store/unreachable', 'load checkpoint: another aggregator keeps committing', {
    values: { keys: keys.prefix },
  });
}

async function readHead(
  link: RedisLink,
  keys: PartitionKeys,
): Promise<{ raw: RawHead; names: Map<string, string> } | undefined> {
  const replies = await link.send('load checkpoint', (c) =>
    c.multi().hmgetBuffer(keys.head, 'version', 'commit', 'head', 'digest', 'changed').hgetall(keys.names).exec(),
  );
  const [fields, names] = (replies ?? []).map(([error, reply]) => {
    if (error) throw link.translate('load checkpoint', error);
    return reply;
  }) as [(Buffer | null)[], Record<string, string>];
  const [version, commit, head, digest, changed] = fields;
  if (!version || !commit || !head) return undefined;
  return {
    raw: {
      version: version.toString(),
      commit: commit.toString(),
      head,
      digest: digest?.toString() ?? '',
      changed: changed?.toString() ?? '',
    },
    names: new Map(Object.entries(names)),
  };
}

async function readBlobs(
  link: RedisLink,
  keys: PartitionKeys,
  names: ReadonlyMap<string, string>,
  wanted: (name: string) => boolean,
): Promise<{ blobs: Map<string, Uint8Array>; damaged: string[] }> {
  const list = [...names].filter(([name]) => wanted(name));
  const blobs = new Map<string, Uint8Array>();
  const damaged: string[] = [];
  for (let first = 0; first < list.length; first += readNamesMax) {
    const chunk = list.slice(first, first + readNamesMax);
    const replies = await link.send('load checkpoint', (c) =>
      c.mgetBuffer(...chunk.map(([name]) => keys.current(name))),
    );
    for (const [i, [name, digest]] of chunk.entries()) {
      const blob = replies[i];
      if (blob && stamp(blob) === digest) blobs.set(name, blob);
      else damaged.push(name);
    }
  }
  return { blobs, damaged };
}

/** Takes the newest commit back. When another undid or replaced it meanwhile, the next load sees that. */
async function undo(link: RedisLink, keys: PartitionKeys, raw: RawHead): Promise<void> {
  const before = await link.send('undo a damaged checkpoint', (c) => c.hgetBuffer(keys.head, 'before_head'));
  await link.send('undo a damaged checkpoint', (c) =>
    c.eval(undoScript, 2, keys.head, keys.names, keys.prefix, raw.version, raw.commit, before ? stamp(before) : ''),
  );
}

/** The head's own bytes are damaged and there is none before it: what else is known stands, the position does not matter. */
const rebuiltHead = (raw: RawHead): Uint8Array =>
  CheckpointHead.encode({
    formatVersion: checkpointFormat,
    version: BigInt(raw.version),
    commitId: raw.commit,
    streamIdentity: '',
    streamSequence: 0n,
    committedWallMs: 0n,
  }).finish();

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
