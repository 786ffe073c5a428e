/** Every verb of `muster`, in the order of its help. What a verb needs is imported when it is called. */
import type { DataVerb } from './output/verb.ts';

export type VerbKind =
  /** One call of the API. */
  | { readonly kind: 'data'; readonly load: () => Promise<DataVerb> }
  /** The main program of a service, with all words after the verb. */
  | { readonly kind: 'role'; readonly service: string }
  | { readonly kind: 'own' };

export interface VerbEntry {
  readonly name: string;
  readonly summary: string;
  readonly verb: VerbKind;
}

const fleet = async (name: 'hosts' | 'metrics' | 'ledger'): Promise<DataVerb> => (await import('./verbs/fleet.ts'))[name];

export const verbList: readonly VerbEntry[] = [
  { name: 'up', summary: 'run everything on this machine: loader, agent, bus, aggregator, store, query', verb: { kind: 'own' } },
  { name: 'top', summary: 'the largest rows of a metric', verb: { kind: 'data', load: async () => (await import('./verbs/top.ts')).top } },
  { name: 'range', summary: 'a metric over time', verb: { kind: 'data', load: async () => (await import('./verbs/range.ts')).range } },
  { name: 'hist', summary: 'a distribution: quantiles and bars', verb: { kind: 'data', load: async () => (await import('./verbs/hist.ts')).hist } },
  { name: 'hosts', summary: 'hosts, their state and probes', verb: { kind: 'data', load: () => fleet('hosts') } },
  { name: 'metrics', summary: 'what can be asked for', verb: { kind: 'data', load: () => fleet('metrics') } },
  { name: 'ledger', summary: 'accuracy by host and table', verb: { kind: 'data', load: () => fleet('ledger') } },
  { name: 'load', summary: 'load, attach and pin probes (needs privilege)', verb: { kind: 'role', service: 'loader' } },
  { name: 'agent', summary: 'read pinned maps, publish batches', verb: { kind: 'role', service: 'agent' } },
  { name: 'aggregator', summary: 'merge batches, store checkpoints', verb: { kind: 'role', service: 'aggregator' } },
  { name: 'query', summary: 'answer over gRPC', verb: { kind: 'role', service: 'query' } },
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
