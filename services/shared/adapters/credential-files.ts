/** Reads, once and at the start, the credentials that settings name. A process may give up its privileges afterwards. */
import type { NatsValues, RedisValues, TlsIdentity } from '../contract/connections.ts';
import { MusterError } from '../runtime/errors.ts';
import { readNamedFile } from './named-file.ts';
import type { NatsAccess } from './nats-connection.ts';
import type { RedisAccess } from './redis-connection.ts';

/** Throws MusterError config/invalid that names the flag. */
export function natsAccess(v: NatsValues): NatsAccess {
  const tls = identity('nats', v.natsCa, v.natsCert, v.natsKey);
  const password = secret('--nats-password-file', v.natsPasswordFile);
  const creds = v.natsCreds === undefined ? undefined : read('--nats-creds', v.natsCreds);
  return {
    address: v.nats,
    ...(v.natsUser === undefined ? {} : { user: v.natsUser }),
    ...(password === undefined ? {} : { password }),
    ...(creds === undefined ? {} : { creds }),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** Throws MusterError config/invalid that names the flag. */
export function redisAccess(v: RedisValues): RedisAccess {
  const tls = identity('redis', v.redisCa, v.redisCert, v.redisKey);
  const password = secret('--redis-password-file', v.redisPasswordFile);
  return {
    address: v.redis,
    ...(v.redisUser === undefined ? {} : { username: v.redisUser }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
  };
}

function identity(
  whose: string,
  ca: string | undefined,
  cert: string | undefined,
  key: string | undefined,
): TlsIdentity | undefined {
  if ((cert === undefined) !== (key === undefined))
    throw new MusterError('config/invalid', `--${whose}-cert: certificate and key go together`, {
      remedy: `give both --${whose}-cert and --${whose}-key`,
    });
  if (ca === undefined && cert === undefined) return undefined;
  return {
    ...(ca === undefined ? {} : { ca: read(`--${whose}-ca`, ca).toString() }),
    ...(cert === undefined || key === undefined
      ? {}
      : { cert: read(`--${whose}-cert`, cert).toString(), key: read(`--${whose}-key`, key).toString() }),
  };
}

const secret = (flag: string, path: string | undefined): string | undefined =>
  path === undefined ? undefined : read(flag, path).toString().trim();

const read = (flag: string, path: string): Buffer => readNamedFile(`${flag} ${path}`, path);
