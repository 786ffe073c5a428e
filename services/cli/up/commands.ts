/**
 * The command line of each role: what it is told, and with how little privilege it starts. Only the keeper keeps any.
 * A role that a file mode stops from reading its own program may read (CAP_DAC_READ_SEARCH), nothing else.
 */
import type { RoleName } from './roles.ts';
import type { Instance, UpOptions } from './options.ts';
import type { ServerPorts } from './server-files.ts';

export interface CommandFacts {
  /** The Node that runs this. */
  readonly node: string;
  /** Folder that holds <service>/main.js. */
  readonly services: string;
  /** False where this process has no privilege to give up. */
  readonly privileged: boolean;
  /** Folder with the compiled BPF objects. */
  readonly objects: string;
  readonly stateDir: string;
  /** True when the program or the state directory belongs to somebody else than root: root without capabilities could not read it. */
  readonly foreignFiles: boolean;
  /** True when `up` has CAP_BPF to lend: the agent keeps it where the kernel lets nobody look at maps without. */
  readonly hasBpf: boolean;
  readonly options: UpOptions;
  readonly instance: Instance;
  readonly ports: ServerPorts;
}

export interface Command {
  readonly words: readonly string[];
  /** Working directory; absent: that of `up`. */
  readonly folder?: string;
  /** How the role says that it is ready: a JSON line on stdout, or a text in its output. */
  readonly ready: { readonly kind: 'json' } | { readonly kind: 'text'; readonly text: string };
  /** Ends itself when its stdin does; the servers instead get a signal from the kernel when `up` dies. */
  readonly lifeline: boolean;
}

/**
 * Flags of Node by service. The agent makes little garbage, most of it at once: with Node's own 16 MiB for the young it
 * would come to hold 40 MiB more of it (16,000 rows a second), at no less CPU.
 */
export const nodeFlags: Readonly<Record<string, readonly string[]>> = { agent: ['--max-semi-space-size=1'] };

/** util-linux setpriv; two in a row where a capability must outlive the loss of the bounding set. */
const bareOf = (f: CommandFacts): string[] =>
  f.privileged
    ? ['setpriv', '--inh-caps=-all', '--bounding-set=-all', '--no-new-privs']
    : ['setpriv', '--no-new-privs'];
const keepingOf = (f: CommandFacts, ...names: string[]): string[] =>
  names.length === 0 || !f.privileged
    ? bareOf(f)
    : [
        'setpriv',
        `--inh-caps=-all,${names.map((n) => `+${n}`).join(',')}`,
        'setpriv',
        '--bounding-set=-all',
        '--no-new-privs',
      ];

export const natsAddress = (f: CommandFacts): string => f.options.nats ?? `127.0.0.1:${f.ports.nats}`;
export const redisAddress = (f: CommandFacts): string => f.options.redis ?? `127.0.0.1:${f.ports.redis}`;
/** On it `up` asks whatever credentials the network's callers need. */
export const querySocket = (instance: Instance): string => `${instance.runDir}/query.sock`;
export const keeperSocket = (instance: Instance): string => `${instance.runDir}/keeper.sock`;

export function commandOf(role: RoleName, f: CommandFacts): Command {
  const { options, instance } = f;
  const bare = bareOf(f);
  const keeping = (...names: string[]): string[] => keepingOf(f, ...names);
  const main = (service: string): string[] => [
    f.node,
    ...(nodeFlags[service] ?? []),
    `${f.services}/${service}/main.js`,
    '--log-level',
    options.logLevel,
  ];
  const flag = (name: string, value: string | undefined): string[] => (value === undefined ? [] : [name, value]);
  const each = (name: string, values: readonly string[]): string[] => values.flatMap((value) => [name, value]);
  const reading = f.foreignFiles ? ['dac_read_search'] : [];
  const json = { ready: { kind: 'json' }, lifeline: true } as const;
  switch (role) {
    case 'nats':
      return {
        words: [...bare, '--pdeathsig', 'TERM', 'nats-server', '-c', 'nats.conf'],
        folder: `${f.stateDir}/nats`,
        ready: { kind: 'text', text: 'Server is ready' },
        lifeline: false,
      };
    case 'redis':
      return {
        words: [...bare, '--pdeathsig', 'TERM', 'redis-server', 'redis.conf'],
        folder: `${f.stateDir}/redis`,
        ready: { kind: 'text', text: 'Ready to accept connections' },
        lifeline: false,
      };
    case 'keeper':
      return {
        words: [
          ...main('loader'),
          '--keep',
          ...['--objects', f.objects, '--pin-root', instance.pinRoot, '--socket', keeperSocket(instance)],
          ...['--gid', String(instance.gid)],
          ...flag('--probes', options.probes),
          ...flag('--scope', options.scope),
          ...each('--rows', options.rows),
          ...each('--with', options.with),
          ...flag('--profile-hz', options.profileHz),
          ...flag('--memory-budget', options.memoryBudget),
        ],
        ...json,
      };
    case 'agent':
      return {
        words: [
          ...keeping('setuid', 'setgid', ...(f.hasBpf ? ['bpf'] : []), ...reading),
          ...main('agent'),
          ...['--interval', options.interval, '--pin-root', instance.pinRoot, '--nats', natsAddress(f)],
          ...['--socket', keeperSocket(instance), '--uid', String(instance.uid), '--gid', String(instance.gid)],
          ...flag('--host', options.host),
          ...flag('--hide', options.hide),
          ...flag('--hide-key', options.hideKey),
          ...flag('--label', options.label.length > 0 ? options.label.join(',') : undefined),
        ],
        ...json,
      };
    case 'synth':
      return {
        words: [
          ...keeping(...reading),
          ...main('synth'),
          ...['--interval', options.interval, '--nats', natsAddress(f), '--hosts', String(options.synthetic ?? 1)],
        ],
        ...json,
      };
    case 'aggregator':
      return {
        words: [
          ...keeping(...reading),
          ...main('aggregator'),
          ...['--nats', natsAddress(f), '--redis', redisAddress(f)],
          // Two instances on one machine may share a store.
          ...flag('--name', options.host?.replace(/[^A-Za-z0-9_.:-]/g, '_').slice(0, 128)),
        ],
        ...json,
      };
    case 'query':
      return {
        words: [
          ...keeping(...reading),
          ...main('query'),
          ...['--listen', options.listen, '--listen', `unix:${querySocket(instance)}`, '--redis', redisAddress(f)],
          ...flag('--tls-cert', options.tlsCert),
          ...flag('--tls-key', options.tlsKey),
          ...flag('--tls-client-ca', options.tlsClientCa),
          ...flag('--access', options.access),
        ],
        ...json,
      };
  }
}
