/**
 * The one stream and its consumers: file storage, bounded, `discard: new` (agents hold, and their kernels with them),
 * work-queue retention (what is acknowledged frees its space), one durable pull consumer per partition.
 */
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamManager,
  nanos,
  type NatsConnection,
  type NatsError,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
} from 'nats';
import { partitionCount, partitionSubjects, streamName } from '../contract/subjects.ts';
import { MusterError } from '../runtime/errors.ts';

const streamBytesMax = 1 << 30;
const streamBytesMin = 1 << 24;
const duplicateWindowMs = 120_000;
const ackWaitMs = 30_000;
/** Messages of one partition that are delivered and not acknowledged: bounds what a store that is away can pile up. */
export const unacknowledgedMax = 512;

/** err_code of the JetStream API. */
const notFound = { stream: 10059, consumer: 10014 } as const;
/** No such number of replicas here, no peers for them, none with the tags. */
const tooFewServers = new Set([10074, 10005, 10052]);
const noRoom = new Set([10047, 10023, 10028]);

const apiCode = (cause: unknown): number => (cause as NatsError | undefined)?.api_error?.err_code ?? 0;

/** Only subjects of a partition: a message of none would never be consumed, and stay for ever. */
const subjects = Array.from({ length: partitionCount }, (_, partition) => partitionSubjects(partition));

/** Where a cluster of nats-servers keeps the stream. */
export interface StreamPlacement {
  /** Servers that hold a copy each: 1 to 5, an odd number. */
  readonly replicas: number;
  /** Tags that those servers must have; none: any. */
  readonly tags: readonly string[];
}

/** Makes the stream if it is absent, and moves it where the placement has changed. Returns its identity: the moment it was created. */
export async function ensureStream(
  connection: NatsConnection,
  { replicas = 1, tags = [] }: Partial<StreamPlacement> = {},
): Promise<string> {
  const manager = await connection.jetstreamManager({ checkAPI: false });
  const place = {
    num_replicas: replicas,
    ...(tags.length > 0 ? { placement: { cluster: '', tags: [...tags] } } : {}),
  };
  try {
    const found = await manager.streams.info(streamName);
    const identity = check(found);
    const { num_replicas, placement: at } = found.config;
    if (num_replicas !== replicas || (at?.tags ?? []).join() !== tags.join())
      await manager.streams.update(streamName, { ...found.config, ...place });
    return identity;
  } catch (cause) {
    if (apiCode(cause) !== notFound.stream) throw unplaceable(cause, replicas, tags);
  }
  for (let bytes = streamBytesMax; ; bytes /= 2) {
    try {
      return check(
        await manager.streams.add({
          name: streamName,
          subjects,
          storage: StorageType.File,
          retention: RetentionPolicy.Workqueue,
          discard: DiscardPolicy.New,
          max_bytes: bytes,
          duplicate_window: nanos(duplicateWindowMs),
          ...place,
        }),
      );
    } catch (cause) {
      if (!noRoom.has(apiCode(cause)) || bytes <= streamBytesMin) throw unplaceable(cause, replicas, tags);
    }
  }
}

/** Says it where the bus has not enough servers, or none with the tags; any other cause stays as it is. */
const unplaceable = (cause: unknown, replicas: number, tags: readonly string[]): unknown =>
  tooFewServers.has(apiCode(cause))
    ? new MusterError('bus/unfit', `place stream ${streamName}: the bus cannot hold it so`, {
        values: { replicas, tags: tags.join(',') },
        cause,
        remedy: 'start more servers of the cluster, or lower --bus-replicas',
      })
    : cause;

function check({
  created,
  config,
}: {
  created: string;
  config: { retention: string; discard: string; subjects: string[] };
}): string {
  const same = config.subjects.length === subjects.length && subjects.every((s) => config.subjects.includes(s));
  if (config.retention !== 'workqueue' || config.discard !== 'new' || !same) {
    throw new MusterError('bus/unfit', `open stream ${streamName}: it is not Muster's`, {
      values: { retention: config.retention, discard: config.discard, subjects: config.subjects.slice(0, 3).join(',') },
    });
  }
  return created;
}

export const consumerOf = (partition: number): string => `partition-${partition}`;

/**
 * Makes the partition's consumer. One that is there and holds messages of an aggregator that died is made anew, so
 * that they come at once and not after their wait.
 */
export async function ensureConsumer(connection: NatsConnection, partition: number, fresh: boolean): Promise<void> {
  const manager = await connection.jetstreamManager({ checkAPI: false });
  const name = consumerOf(partition);
  if (fresh) await dropHolding(manager, name);
  // Adding what is there with the same configuration changes nothing.
  await manager.consumers.add(streamName, {
    durable_name: name,
    filter_subject: partitionSubjects(partition),
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ackWaitMs),
    max_ack_pending: unacknowledgedMax,
    deliver_policy: DeliverPolicy.All,
    replay_policy: ReplayPolicy.Instant,
    // Pulls of one process wait side by side only for the moment in which one ends and the next arrives.
    max_waiting: 8,
  });
}

async function dropHolding(manager: JetStreamManager, name: string): Promise<void> {
  try {
    const info = await manager.consumers.info(streamName, name);
    if (info.num_ack_pending > 0 || info.num_waiting > 0) await manager.consumers.delete(streamName, name);
  } catch (cause) {
    if (apiCode(cause) !== notFound.consumer) throw cause;
  }
}

export async function unacknowledgedIn(connection: NatsConnection): Promise<number> {
  const manager = await connection.jetstreamManager({ checkAPI: false });
  return (await manager.streams.info(streamName)).state.messages;
}

export async function streamPosition(connection: NatsConnection): Promise<{ messages: number; last: bigint }> {
  const manager = await connection.jetstreamManager({ checkAPI: false });
  const { state } = await manager.streams.info(streamName);
  return { messages: state.messages, last: BigInt(state.last_seq) };
}

/**
 * Empties a stream whose messages cannot be delivered; it goes on in a new file, and hosts repeat what is missing.
 * Consumers may stand beyond its end: they are to be made anew.
 */
export async function clearStream(connection: NatsConnection): Promise<void> {
  const manager = await connection.jetstreamManager({ checkAPI: false });
  await manager.streams.purge(streamName);
  for await (const consumer of manager.consumers.list(streamName))
    await manager.consumers.delete(streamName, consumer.name);
}

/** Position and time of a delivered message, from its reply subject. Source: NATS ADR-15. */
export function parseReply(reply: string): { sequence: bigint; storedMs: number } | undefined {
  // $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>, with domain and account in front of the stream since.
  const t = reply.split('.');
  const at = t.length >= 11 ? 7 : t.length === 9 ? 5 : undefined;
  if (t[0] !== '$JS' || t[1] !== 'ACK' || at === undefined || !/^\d+$/.test(t[at]!) || !/^\d+$/.test(t[at + 2]!))
    return undefined;
  return { sequence: BigInt(t[at]!), storedMs: Number(BigInt(t[at + 2]!) / 1_000_000n) };
}

/** From the consumer's name in the reply subject; -1 when it is none of ours. */
export function partitionOfReply(reply: string): number {
  const match = /\.partition-(\d{1,2})\./.exec(reply);
  const partition = match ? Number(match[1]) : -1;
  return partition < partitionCount ? partition : -1;
}
