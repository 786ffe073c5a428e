/**
 * The link to redis-server, or to a Redis Cluster where several addresses are given, that never sends a command twice:
 * ioredis would repeat what was in flight when a connection broke. Its errors become MusterErrors here, once.
 */
import { Cluster, Redis } from 'ioredis';
import type { TlsIdentity } from '../contract/connections.ts';
import { describeCause, MusterError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';

/** Where the store is, and what opens it. */
export interface RedisAccess {
  /** HOST:PORT, or several with commas: nodes of a cluster, of which one must answer to find the others. */
  readonly address: string;
  readonly username?: string;
  readonly password?: string;
  /** Absent: clear text. */
  readonly tls?: TlsIdentity;
}

export interface RedisOptions extends RedisAccess {
  /** Shown by CLIENT LIST, e.g. "muster-aggregator". */
  readonly name: string;
  readonly log: Log;
  /** How long an answer may take. */
  readonly answerMs?: number;
}

const waitMaxMs = 1000;
const answerMsDefault = 5000;

/** Commands on keys that share a hash tag work on both alike. */
export type RedisClient = Redis | Cluster;

export interface RedisLink {
  readonly client: RedisClient;
  /** The servers that take writes: one, or the masters of the cluster. */
  masters(): Redis[];
  /** Runs a command; rejects with MusterError. Never queued, never repeated. */
  send<T>(what: string, run: (client: RedisClient) => Promise<T>): Promise<T>;
  /** Resolves true when the connection can be used, false when it cannot within `ms`. */
  usable(ms: number): Promise<boolean>;
  translate(what: string, cause: unknown): MusterError;
  close(): Promise<void>;
}

export function connectRedis(options: RedisOptions): RedisLink {
  const { address, log } = options;
  let away = true;
  let closed = false;
  const client = createClient(options, () => closed);
  let trouble: unknown;
  client.on('error', (cause: unknown) => {
    trouble = cause;
  });
  client.on('ready', () => {
    if (away) log.info({ redis: address }, 'store is there');
    away = false;
  });
  client.on('close', () => {
    if (!away && !closed)
      log.warn(
        { redis: address, reason: describeCause(trouble) || 'connection closed' },
        'store is away; connecting again',
      );
    away = true;
  });

  const translate = (what: string, cause: unknown): MusterError => {
    const message = describeCause(cause);
    const values = { redis: address };
    const said = /^(NOAUTH|WRONGPASS|NOPERM|OOM|MISCONF|NOSCRIPT|LOADING|READONLY)/.exec(message)?.[1];
    const refused =
      said ?? /(NOAUTH|WRONGPASS|NOPERM)/.exec(client.status === 'ready' ? '' : describeCause(trouble))?.[1];
    if (refused === 'NOAUTH' || refused === 'WRONGPASS' || refused === 'NOPERM')
      return new MusterError('store/refused', `${what}: refused`, { values, cause });
    if (said === 'OOM' || said === 'MISCONF')
      return new MusterError('store/full', `${what}: the store cannot take more`, { values, cause });
    return new MusterError('store/unreachable', `${what}: no answer`, {
      values,
      cause: client.status === 'ready' ? cause : (trouble ?? cause),
    });
  };

  return {
    client,
    masters: () => (client instanceof Cluster ? client.nodes('master') : [client]),
    translate,
    async send(what, run) {
      try {
        return await run(client);
      } catch (cause) {
        throw translate(what, cause);
      }
    },
    usable(ms) {
      if (client.status === 'ready') return Promise.resolve(true);
      return new Promise((resolve) => {
        const done = (usable: boolean) => (): void => {
          clearTimeout(timer);
          client.off('ready', ready);
          resolve(usable);
        };
        const ready = done(true);
        const timer = setTimeout(done(false), ms);
        client.once('ready', ready);
      });
    },
    async close() {
      closed = true;
      if (client.status === 'ready') await client.quit().catch(() => undefined);
      client.disconnect();
    },
  };
}

function createClient(options: RedisOptions, closed: () => boolean): RedisClient {
  const nodes = options.address.split(',').map((node) => {
    const at = node.lastIndexOf(':');
    return { host: node.slice(0, at), port: Number(node.slice(at + 1)) };
  });
  const wait = (tries: number): number | null => (closed() ? null : Math.min(waitMaxMs, 50 * 2 ** Math.min(tries, 6)));
  const connection = {
    ...(options.username !== undefined ? { username: options.username } : {}),
    ...(options.password !== undefined ? { password: options.password } : {}),
    ...(options.tls ? { tls: { ...options.tls } } : {}),
    connectionName: options.name,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.answerMs ?? answerMsDefault,
    connectTimeout: 5000,
  };
  if (nodes.length === 1)
    return new Redis({
      ...connection,
      ...nodes[0],
      enableOfflineQueue: false,
      enableReadyCheck: true,
      retryStrategy: wait,
    });
  return new Cluster(nodes, {
    redisOptions: connection,
    enableOfflineQueue: false,
    clusterRetryStrategy: wait,
    // With a delay ioredis would send again what a dead node may have done. What is moved was not done.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    slotsRefreshTimeout: 2000,
    slotsRefreshInterval: 2000,
  });
}

/** True for an error that the server itself sent: the command was refused and did nothing. */
export const isRefusal = (cause: unknown): boolean => cause instanceof Error && cause.name === 'ReplyError';
