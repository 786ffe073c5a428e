/** Settings by which roles reach NATS and Redis: addresses, credentials, TLS. Adapters read the files they name. */
import { z } from 'zod';
import type { Setting } from '../runtime/settings.ts';

const setting = <T>(s: Setting<T>): Setting<T> => s;
const optional = z.string().min(1).optional();
const addresses = z
  .string()
  .regex(/^[^,\s]+:\d{1,5}(,[^,\s]+:\d{1,5})*$/, 'expected HOST:PORT, or several with commas');

export const natsSettings = {
  nats: setting({
    schema: addresses,
    help: 'nats-server with JetStream; several of a cluster with commas',
    value: 'HOST:PORT',
    fallback: '127.0.0.1:4222',
  }),
  natsUser: setting({ schema: optional, help: 'user on the bus', value: 'NAME' }),
  natsPasswordFile: setting({ schema: optional, help: 'file with its password', value: 'FILE' }),
  natsCreds: setting({
    schema: optional,
    help: 'credentials file (JWT and key) instead of user and password',
    value: 'FILE',
  }),
  natsCa: setting({ schema: optional, help: "CA of the bus's certificate in PEM: use TLS", value: 'FILE' }),
  natsCert: setting({ schema: optional, help: 'own certificate for the bus in PEM', value: 'FILE' }),
  natsKey: setting({ schema: optional, help: 'key of that certificate', value: 'FILE' }),
};

export const redisSettings = {
  redis: setting({
    schema: addresses,
    help: 'redis-server that holds the checkpoints',
    value: 'HOST:PORT',
    fallback: '127.0.0.1:6379',
  }),
  redisUser: setting({ schema: optional, help: 'user of the store', value: 'NAME' }),
  redisPasswordFile: setting({ schema: optional, help: 'file with its password', value: 'FILE' }),
  redisCa: setting({ schema: optional, help: "CA of the store's certificate in PEM: use TLS", value: 'FILE' }),
  redisCert: setting({ schema: optional, help: 'own certificate for the store in PEM', value: 'FILE' }),
  redisKey: setting({ schema: optional, help: 'key of that certificate', value: 'FILE' }),
};

type Values<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };
export type NatsValues = Values<typeof natsSettings>;
export type RedisValues = Values<typeof redisSettings>;

/** What a TLS socket is made from, in PEM; absent altogether: clear text. */
export interface TlsIdentity {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}
