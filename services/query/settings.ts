/** Flags of the query service: services/shared/runtime/settings.ts resolves and documents them. */
import { z } from 'zod';
import type { Setting, Settings } from '../shared/runtime/settings.ts';

const setting = <T>(s: Setting<T>): Setting<T> => s;

/** HOST:PORT or unix:PATH. */
const address = z
  .string()
  .regex(/^(?:unix:.+|(?:\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5})$/, 'expected HOST:PORT or unix:PATH');

export const querySettings = {
  listen: setting({
    schema: z.preprocess((v) => (typeof v === 'string' ? v.split(',') : v), z.array(address).min(1)),
    help: 'where the gRPC API listens; may be given more than once, also unix:PATH',
    value: 'HOST:PORT',
    fallback: '127.0.0.1:50151',
    repeat: true,
  }),
  redis: setting({
    schema: z.string().regex(/^.+:\d{1,5}$/, 'expected HOST:PORT'),
    help: 'redis-server that holds the checkpoints',
    value: 'HOST:PORT',
    fallback: '127.0.0.1:6379',
  }),
  tlsCert: setting({
    schema: z.string().optional(),
    help: 'certificate of the API in PEM, its chain included; read again when it changes',
    value: 'FILE',
  }),
  tlsKey: setting({ schema: z.string().optional(), help: 'key of the certificate in PEM', value: 'FILE' }),
  tlsClientCa: setting({
    schema: z.string().optional(),
    help: 'CA whose clients may connect (mutual TLS), in PEM',
    value: 'FILE',
  }),
  access: setting({
    schema: z.string().optional(),
    help: 'tokens and certificates with their roles (deploy/query/access.example.json); read again when it changes',
    value: 'FILE',
  }),
  insecureListen: setting({
    schema: z.stringbool(),
    help: 'allow a --listen address that others can reach, in clear text and without credentials',
    fallback: 'false',
  }),
  logLevel: setting({
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    help: 'least level logged',
    value: 'LEVEL',
    fallback: 'info',
  }),
  help: setting({ schema: z.stringbool(), help: 'show this text', fallback: 'false' }),
} satisfies Settings;

/** True when only this machine can reach the address. */
export const isLocal = (listen: string): boolean => /^(?:unix:|localhost:|127(?:\.\d{1,3}){3}:|\[::1\]:)/.test(listen);
