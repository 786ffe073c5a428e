/**
 * One connection to redis-server that never sends a command twice: ioredis would repeat what was in flight when a
 * connection broke. Its errors become MusterErrors here, once.
 */
import { Redis } from 'ioredis';
import { describeCause, MusterError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { TlsIdentity } from './credential-files.ts';

/** Where the store is, and what opens it. */
export interface RedisAccess {
  /** HOST:PORT */
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

export interface RedisLink {
  readonly client: Redis;
  /** Runs a command; rejects with MusterError. Never queued, never repeated. */
  send<T>(what: string, run: (client: Redis) => Promise<T>): Promise<T>;
  /** Resolves true when the connection can be used, false when it cannot within `ms`. */
  usable(ms: number): Promise<boolean>;
  translate(what: string, cause: unknown): MusterError;
  close(): Promise<void>;
}

export function connectRedis(options: RedisOptions): RedisLink {
  const { address, log } = options;
  const at = address.lastIndexOf(':');
  let away = true;
  let closed = false;
  const client = new Redis({
    host: address.slice(0, at),
    port: Number(address.slice(at + 1)),
    ...(options.username !== undefined ? { username: options.username } : {}),
    ...(options.password !== undefined ? { password: options.password } : {}),
    ...(options.tls ? { tls: { ...options.tls } } : {}),
    connectionName: options.name,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.answerMs ?? answerMsDefault,
    connectTimeout: 5000,
    enableReadyCheck: true,
    retryStrategy: (tries) => (closed ? null : Math.min(waitMaxMs, 50 * 2 ** Math.min(tries, 6))),
  });
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

/** True for an error that the server itself sent: the command was refused and did nothing. */
export const isRefusal = (cause: unknown): boolean => cause instanceof Error && cause.name === 'ReplyError';
