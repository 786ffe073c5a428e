/** Every verb of `muster`, in the order of its help. What a verb needs is imported when it is called. */
import type { DataVerb } from './output/verb.ts';

export type VerbKind =
  /** One call of the API. */
  | { readonly kind: 'data'; readonly load: () => Promise<DataVerb> }
  /** The main program of a service, with all words after the verb; examples follow its help. */
  | { readonly kind: 'role'; readonly service: string; readonly examples?: readonly string[] }
  | { readonly kind: 'own' };

export interface VerbEntry {
  readonly name: string;
  readonly summary: string;
  readonly verb: VerbKind;
}

const fleet = async (name: 'hosts' | 'forgetHost' | 'metrics' | 'ledger'): Promise<DataVerb> =>
  (await import('./verbs/fleet.ts'))[name];

const role = (service: string, ...flags: string[]): VerbKind => ({
  kind: 'role',
  service,
  examples: flags.map((words) => `muster ${service} ${words}`),
});

export const verbList: readonly VerbEntry[] = [
  {
    name: 'up',
    summary: 'run everything on this machine: loader, agent, bus, aggregator, store, query',
    verb: { kind: 'own' },
  },
  {
    name: 'top',
    summary: 'the largest rows of a metric; on a terminal kept up to date',
    verb: { kind: 'data', load: async () => (await import('./verbs/top.ts')).top },
  },
  { name: 'watch', summary: 'the same, each update as it comes', verb: { kind: 'own' } },
  {
    name: 'range',
    summary: 'a metric over time',
    verb: { kind: 'data', load: async () => (await import('./verbs/range.ts')).range },
  },
  {
    name: 'hist',
    summary: 'a distribution: quantiles and bars',
    verb: { kind: 'data', load: async () => (await import('./verbs/hist.ts')).hist },
  },
  {
    name: 'flame',
    summary: 'where it happened, by stack: folded text, a picture, a profile for pprof',
    verb: { kind: 'data', load: async () => (await import('./verbs/flame.ts')).flame },
  },
  {
    name: 'distinct',
    summary: 'how many different values',
    verb: { kind: 'data', load: async () => (await import('./verbs/distinct.ts')).distinct },
  },
  {
    name: 'contains',
    summary: 'which hosts have seen a value',
    verb: { kind: 'data', load: async () => (await import('./verbs/contains.ts')).contains },
  },
  { name: 'hosts', summary: 'hosts, their state and probes', verb: { kind: 'data', load: () => fleet('hosts') } },
  {
    name: 'hosts forget',
    summary: 'take a host that is gone off the lists; its counts stay',
    verb: { kind: 'data', load: () => fleet('forgetHost') },
  },
  { name: 'metrics', summary: 'what can be asked for', verb: { kind: 'data', load: () => fleet('metrics') } },
  { name: 'ledger', summary: 'accuracy by host and table', verb: { kind: 'data', load: () => fleet('ledger') } },
  {
    name: 'cost',
    summary: 'what counting costs, by program: measured',
    verb: { kind: 'data', load: async () => (await import('./verbs/cost.ts')).cost },
  },
  {
    name: 'load',
    summary: 'load probes of your own: my.bpf.c, my.bpf.o, or built-in ones by name',
    verb: { kind: 'own' },
  },
  { name: 'unload', summary: 'end a probe; what it counted stays', verb: { kind: 'own' } },
  {
    name: 'loader',
    summary: 'load, attach and pin probes (needs privilege)',
    verb: { kind: 'role', service: 'loader' },
  },
  {
    name: 'agent',
    summary: 'read pinned maps, publish batches',
    verb: role(
      'agent',
      '--nats 10.0.0.5:4222 --host web-1 --label role=web',
      '--pin-root /sys/fs/bpf/muster --interval 500ms',
    ),
  },
  {
    name: 'aggregator',
    summary: 'merge batches, store checkpoints',
    verb: role('aggregator', '--nats 10.0.0.5:4222 --redis 10.0.0.6:6379', '--log-level debug'),
  },
  {
    name: 'query',
    summary: 'answer over gRPC',
    verb: role('query', '--redis 10.0.0.6:6379', '--listen 127.0.0.1:50200 --redis 127.0.0.1:6379'),
  },
  { name: 'bus-user', summary: 'users of the bus: what each host may say and hear', verb: { kind: 'own' } },
  {
    name: 'synth',
    summary: 'publish what a fleet of N hosts would, without kernels: for load and for trying',
    verb: role(
      'synth',
      '--nats 127.0.0.1:4222 --hosts 1000 --rows 1000 --interval 1s',
      '--hosts 20 --rows 200 --churn 5 --restarts 60 --late 10 --reads 300',
    ),
  },
  { name: 'config show', summary: 'settings of every role, with --origin what said them', verb: { kind: 'own' } },
  { name: 'config check', summary: 'check configuration files and environment', verb: { kind: 'own' } },
  { name: 'completion', summary: 'completion for bash, zsh or fish', verb: { kind: 'own' } },
  { name: 'doctor', summary: 'check this machine, with fixes', verb: { kind: 'own' } },
  { name: 'version', summary: 'versions of Muster, Node and kernel', verb: { kind: 'own' } },
];

export function helpText(): string {
  const width = Math.max(...verbList.map((v) => v.name.length));
  return `muster: counts what happens inside the kernels of a fleet, exactly, and answers over gRPC

usage: muster VERB [options]        muster VERB --help

${verbList.map((v) => `  ${v.name.padEnd(width)}  ${v.summary}`).join('\n')}

examples:
  sudo muster up
  muster top syscalls --group-by comm --range 5m

Data goes to stdout, everything else to stderr. Exit code: 0, 1 failure, 2 usage, 3 incomplete
(--require-complete), 64 + gRPC code when the server refused.
`;
}
