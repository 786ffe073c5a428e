/** The import table of services/README.md: what a path is, and what it may import. */

/** Stages in the order in which a count passes through them. A folder that is not listed here is a violation. */
export const stages: Readonly<Record<string, readonly string[]>> = {
  loader: ['object', 'load', 'attach', 'pin', 'keeper'],
  agent: ['kernel', 'labels', 'batch', 'bus'],
  aggregator: ['bus', 'merge', 'checkpoint'],
  query: ['checkpoint', 'answer'],
  synth: ['fleet'],
  cli: ['output', 'verbs', 'up', 'doctor'],
};

/** Services whose folders are layers of tools instead of stages of a path: a layer may use the ones before it. */
const layered = new Set(['cli']);

export type Kind =
  'runtime' | 'algebra' | 'contract' | 'generated' | 'adapter' | 'main' | 'root' | 'stage' | 'config' | 'outside';
export interface Place {
  readonly kind: Kind;
  readonly service: string;
  /** Folder below the service; '' for its root. */
  readonly stage: string;
}

/** What a path of the repository is, in the import table. */
export function placeOf(path: string): Place {
  const parts = path.split('/');
  if (parts[0] !== 'services' || parts.length < 3 || !path.endsWith('.ts'))
    return { kind: 'outside', service: '', stage: '' };
  const service = parts[1]!;
  const stage = parts.length > 3 ? parts[2]! : '';
  if (service === 'shared') {
    if (path.startsWith('services/shared/contract/gen/')) return { kind: 'generated', service, stage };
    if (stage === 'adapters') return { kind: 'adapter', service, stage };
    if (stage === 'runtime' || stage === 'algebra' || stage === 'contract') return { kind: stage, service, stage };
    return { kind: 'outside', service, stage };
  }
  if (stage === 'adapters') return { kind: 'adapter', service, stage };
  if (stage !== '') return { kind: 'stage', service, stage };
  if (parts[2] === 'main.ts') return { kind: 'main', service, stage };
  return { kind: parts[2] === 'config.ts' ? 'config' : 'root', service, stage };
}

/** The import table. Undefined when `from` may import `to`, else why not. */
export function refuseImport(from: Place, to: Place, toPath: string, typeOnly: boolean): string | undefined {
  if (toPath.startsWith('test/')) return 'nobody imports test/';
  if (to.kind === 'outside') return `${toPath} is no place of the import table`;
  if (to.kind === 'generated')
    return from.kind === 'contract'
      ? undefined
      : 'generated types go no further than shared/contract: export what you need there';
  if (to.service !== 'shared' && to.service !== from.service)
    return `services never import each other: move what both need to services/shared`;
  switch (from.kind) {
    case 'runtime':
      return to.kind === 'runtime' ? undefined : 'shared/runtime imports nothing outside itself';
    case 'algebra':
      return to.kind === 'algebra' || toPath === 'services/shared/runtime/assert.ts'
        ? undefined
        : 'shared/algebra imports runtime/assert.ts alone';
    case 'contract':
      return ['contract', 'algebra', 'runtime'].includes(to.kind)
        ? undefined
        : 'shared/contract imports algebra, runtime and generated types';
    case 'stage':
    case 'config': {
      if (to.kind === 'runtime' || to.kind === 'algebra' || to.kind === 'contract') return undefined;
      if (to.kind === 'adapter')
        return 'a pure file asks for a port (shared/runtime/ports); main.ts hands it the adapter';
      if (to.kind === 'config' && typeOnly) return undefined;
      if (to.kind !== 'stage') return `a stage may not import ${toPath}: <service>.ts puts the stages together`;
      if (to.stage === from.stage) return undefined;
      const order = stages[from.service] ?? [];
      if (order.indexOf(to.stage) > order.indexOf(from.stage))
        return `stage ${from.stage} comes before ${to.stage}: never import a later stage`;
      return typeOnly || layered.has(from.service)
        ? undefined
        : `import types alone (import type) of the earlier stage ${to.stage}`;
    }
    case 'root':
      if (to.kind === 'adapter')
        return 'a pure file asks for a port (shared/runtime/ports); main.ts hands it the adapter';
      return to.kind === 'main' ? 'nobody imports main.ts' : undefined;
    case 'adapter':
      if (to.kind === 'main') return 'nobody imports main.ts';
      if (to.service === 'shared' || to.kind === 'adapter') return undefined;
      return typeOnly
        ? undefined
        : 'an adapter imports its port, shared/, one package and node:, and types of its service';
    case 'main':
      return undefined;
    default:
      return `${from.kind} is no importer of the table`;
  }
}

export const isPure = (kind: Kind): boolean =>
  kind !== 'adapter' && kind !== 'main' && kind !== 'outside' && kind !== 'generated';
