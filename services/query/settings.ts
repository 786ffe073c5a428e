/** Flags of the query service: services/shared/runtime/settings.ts resolves and documents them. */
import { z } from 'zod';
import { redisSettings } from '../shared/contract/connections.ts';
import { limits, type Limits } from './limits.ts';
import type { Setting, Settings, ValuesOf } from '../shared/runtime/settings.ts';

const setting = <T>(s: Setting<T>): Setting<T> => s;

/** HOST:PORT or unix:PATH. */
const address = z
  .string()
  .regex(/^(?:unix:.+|(?:\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5})$/, 'expected HOST:PORT or unix:PATH');

const count = (help: string, fallback: number): Setting<number> =>
  setting({ schema: z.coerce.number().int().positive(), help, value: 'N', fallback: String(fallback) });

export const querySettings = {
  listen: setting({
    schema: z.preprocess((v) => (typeof v === 'string' ? v.split(',') : v), z.array(address).min(1)),
    help: 'where the gRPC API listens; may be given more than once, also unix:PATH',
    value: 'HOST:PORT',
    fallback: '127.0.0.1:50151',
    repeat: true,
  }),
  ...redisSettings,
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
  maxCalls: count('calls answered at once', limits.calls),
  maxCallsPerCaller: count('of them, from one address', limits.callsPerCaller),
  maxWatches: count('Watch streams at once, those of health and reflection among them', limits.watches),
  maxWatchesPerCaller: count('of them, from one address', limits.watchesPerCaller),
  maxWatchRows: count('rows that the answers of all watches may keep', limits.watchRows),
  maxDeadline: setting({
    schema: z.string().regex(/^\d{1,4}s$/, 'expected a time such as 30s'),
    help: 'longest time for one answer, whatever deadline the caller set',
    value: 'TIME',
    fallback: `${limits.deadlineMs / 1000}s`,
  }),
  maxConnectionAge: setting({
    schema: z.string().regex(/^\d{1,4}m$/, 'expected a time such as 60m'),
    help: 'a connection is asked to go after this, and a watch ends',
    value: 'TIME',
    fallback: `${limits.connectionAgeMs / 60_000}m`,
  }),
  maxScan: setting({
    schema: z.string().regex(/^\d{1,6}MiB$/, 'expected a size such as 512MiB'),
    help: 'stored bytes that one answer may need, estimated before it is worked out',
    value: 'SIZE',
    fallback: `${limits.scanBytes / 2 ** 20}MiB`,
  }),
  goneAfter: setting({
    schema: z.string().regex(/^\d{1,4}[hd]$/, 'expected a time such as 12h or 30d'),
    help: 'a host that was silent for longer leaves the lists; its counts stay in the totals',
    value: 'TIME',
    fallback: `${limits.goneAfterMs / 86_400_000}d`,
  }),
  logLevel: setting({
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    help: 'least level logged',
    value: 'LEVEL',
    fallback: 'info',
  }),
  help: setting({ schema: z.stringbool(), help: 'show this text', fallback: 'false' }),
} satisfies Settings;

export const limitsOf = (values: ValuesOf<typeof querySettings>): Limits => ({
  calls: values.maxCalls,
  callsPerCaller: values.maxCallsPerCaller,
  watches: values.maxWatches,
  watchesPerCaller: values.maxWatchesPerCaller,
  watchRows: values.maxWatchRows,
  deadlineMs: parseInt(values.maxDeadline, 10) * 1000,
  connectionAgeMs: parseInt(values.maxConnectionAge, 10) * 60_000,
  scanBytes: parseInt(values.maxScan, 10) * 2 ** 20,
  goneAfterMs: parseInt(values.goneAfter, 10) * (values.goneAfter.endsWith('d') ? 86_400_000 : 3_600_000),
});

/** True when only this machine can reach the address. */
export const isLocal = (listen: string): boolean => /^(?:unix:|localhost:|127(?:\.\d{1,3}){3}:|\[::1\]:)/.test(listen);
