/** What a person says to `muster up`, checked. Pure; the defaults that depend on the machine come in as facts. */
import { z } from 'zod';
import { xxh32 } from '../../shared/contract/checksum.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { OptionSpec } from '../output/verb.ts';

export const upOptionSpecs: readonly OptionSpec[] = [
  { flag: '--listen <address>', help: 'where the gRPC API listens', fallback: '127.0.0.1:50151' },
  { flag: '--tls-cert <file>', help: 'certificate of the API in PEM: TLS, and other addresses than loopback' },
  { flag: '--tls-key <file>', help: 'key of the certificate' },
  { flag: '--tls-client-ca <file>', help: 'CA whose clients may connect (mutual TLS)' },
  { flag: '--access <file>', help: 'tokens and certificates with their roles' },
  { flag: '--state-dir <dir>', help: 'own state: bus, store, logs, lock (default /var/lib/muster as root)' },
  { flag: '--interval <time>', help: 'time between two reads', fallback: '1s' },
  { flag: '--probes <names>', help: 'probes to load, names or .bpf.o files, with commas (default syscalls,runqueue)' },
  { flag: '--host <name>', help: 'name of this host in every answer (default its hostname)' },
  { flag: '--label <pairs>', help: 'static labels of this host: role=web,zone=a', repeat: true },
  { flag: '--hide <rules>', help: 'labels left out, hashed or cut, by meaning: cmdline=off,ipv4=hash,cgroup=32' },
  { flag: '--hide-key <file>', help: 'key of the hashes, the same on every host' },
  { flag: '--scope <scope>', help: 'count one cgroup v2 subtree alone: cgroup=PATH' },
  { flag: '--rows <table=n>', help: "a table's number of rows", repeat: true },
  {
    flag: '--with <probe=labels>',
    help: "opt-in labels of a probe's events: cgroup, container, pod, process, cmdline",
    repeat: true,
  },
  { flag: '--profile-hz <n>', help: 'samples a second and CPU of cpu_profile, 1 to 999 (default 49)' },
  { flag: '--memory-budget <size>', help: 'kernel memory for the maps of all probes together (default 256MiB)' },
  {
    flag: '--pin-root <dir>',
    help: 'where maps are pinned (default /sys/fs/bpf/muster, with a suffix for another state dir)',
  },
  { flag: '--nats <address>', help: 'use this NATS server instead of an own one' },
  { flag: '--redis <address>', help: 'use this Redis server instead of an own one' },
  { flag: '--synthetic <hosts>', help: 'no kernel: that many hosts of a generator instead; needs no privilege' },
  { flag: '--keep-pins', help: 'leave the pinned maps in the kernel at the end' },
  { flag: '--log-level <level>', help: 'debug, info, warn or error', fallback: 'info' },
];

const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^\s:]+):\d{1,5}$/, 'not HOST:PORT')
  .refine((a) => Number(a.split(':').at(-1)) < 65536, 'no such port');
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };
const intervalMs = (text: string): number => Number.parseInt(text, 10) * unitMs[/[a-z]+$/.exec(text)![0]]!;
const schema = z.object({
  listen: address,
  tlsCert: z.string().min(1).optional(),
  tlsKey: z.string().min(1).optional(),
  tlsClientCa: z.string().min(1).optional(),
  access: z.string().min(1).optional(),
  stateDir: z.string().min(1).optional(),
  interval: z
    .string()
    .regex(/^\d+(ms|s|m)$/, 'not a time such as 1s or 500ms')
    .refine((t) => intervalMs(t) >= 50 && intervalMs(t) <= 600_000, 'not between 50ms and 10m'),
  probes: z
    .string()
    .regex(
      /^([a-z][a-z0-9_]*(:\/[^,]+)?|[^,]+\.o)(,([a-z][a-z0-9_]*(:\/[^,]+)?|[^,]+\.o))*$/,
      'not names, functions or object files with commas',
    )
    .optional(),
  host: z.string().min(1).max(253).optional(),
  label: z
    .array(z.string().regex(/^[a-z_][a-z0-9_]*=[^,]*(,[a-z_][a-z0-9_]*=[^,]*)*$/, 'not name=value pairs with commas'))
    .refine((all) => !all.some((pairs) => /(^|,)host=/.test(pairs)), 'host is the name of the host: use --host')
    .default([]),
  hide: z.string().optional(),
  hideKey: z.string().min(1).optional(),
  scope: z
    .string()
    .regex(/^cgroup=\S+$/, 'not cgroup=PATH')
    .optional(),
  rows: z.array(z.string().regex(/^[a-z][a-z0-9_]*=[1-9]\d*$/, 'not TABLE=N')).default([]),
  with: z.array(z.string().regex(/^[a-z][a-z0-9_]*=[a-z]+(,[a-z]+)*$/, 'not PROBE=LABEL,LABEL')).default([]),
  profileHz: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, 'not a whole number from 1 to 999')
    .optional(),
  memoryBudget: z
    .string()
    .regex(/^\d{1,12}(KiB|MiB|GiB)?$/, 'not a size such as 64MiB')
    .optional(),
  pinRoot: z.string().startsWith('/', 'not an absolute path').optional(),
  nats: address.optional(),
  redis: address.optional(),
  synthetic: z
    .string()
    .regex(/^[1-9]\d{0,4}$/, 'not a number of hosts from 1 to 99999')
    .transform(Number)
    .optional(),
  keepPins: z.boolean().default(false),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']),
});
const checked = schema
  // Clear text is for this machine alone.
  .refine((o) => o.tlsCert !== undefined || /^(localhost|127(\.\d{1,3}){3}|\[::1\]):/.test(o.listen), {
    path: ['listen'],
    message: 'others could reach it, in clear text; give 127.0.0.1:PORT, or --tls-cert and --tls-key',
  })
  .refine((o) => (o.tlsCert === undefined) === (o.tlsKey === undefined), {
    path: ['tlsCert'],
    message: 'certificate and key go together: give --tls-cert and --tls-key',
  });
export type UpOptions = z.infer<typeof schema>;

/** Throws MusterError config/invalid naming the flag. */
export function parseUpOptions(raw: Readonly<Record<string, unknown>>): UpOptions {
  const parsed = checked.safeParse(raw);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const name = String(issue.path[0]);
  const flag = `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
  throw new MusterError('config/invalid', `${flag} ${[raw[name]].flat().join(' ')}: ${issue.message}`, {
    remedy: 'see `muster up --help`',
  });
}

/** The uids that systemd gives to services for as long as they run: nobody else's files belong to them. */
const dynamicUids = { first: 61_184, last: 65_519 } as const;

export interface InstanceFacts {
  /** Absolute, without links. */
  readonly stateDir: string;
  readonly defaultStateDir: string;
  /** The user `muster`, where there is one. */
  readonly musterUser: { readonly uid: number; readonly gid: number } | undefined;
  /** True where this process may not write to /run. */
  readonly unprivileged?: boolean;
}

/** What tells this instance from others on the machine: all of it follows from the state directory's path. */
export interface Instance {
  readonly uid: number;
  readonly gid: number;
  readonly pinRoot: string;
  readonly runDir: string;
}

export function instanceOf(facts: InstanceFacts, pinRoot: string | undefined): Instance {
  const hash = xxh32(new TextEncoder().encode(facts.stateDir));
  const own = dynamicUids.first + (hash % (dynamicUids.last - dynamicUids.first + 1));
  const name = hash.toString(16).padStart(8, '0');
  const isDefault = facts.stateDir === facts.defaultStateDir;
  return {
    uid: facts.musterUser?.uid ?? own,
    gid: facts.musterUser?.gid ?? own,
    pinRoot: pinRoot ?? (isDefault ? '/sys/fs/bpf/muster' : `/sys/fs/bpf/muster-${name}`),
    runDir: facts.unprivileged === true ? `${facts.stateDir}/run` : `/run/muster-${name}`,
  };
}
