/**
 * Adopt, start anew, or end: what becomes of the lineages that are pinned, given what is wanted. Pure.
 * A lineage is continued only if its numbers would mean the same: same boot, programs, tables, CPUs and scope, and its
 * programs still attached. Whatever else is attached for the probe is ended, so that no event is counted twice.
 */
import type { LineageMeta, TableSchema } from '../../shared/contract/lineage.ts';
import type { Wanted } from './wanted.ts';

/** A lineage as found below the pin root. */
export interface Pinned {
  readonly uuid: string;
  /** Undefined where it cannot be read by this version. */
  readonly meta: LineageMeta | undefined;
  /** Programs whose link is pinned: they count now. */
  readonly linked: readonly string[];
}

export type Choice =
  | { readonly kind: 'adopt'; readonly uuid: string; readonly end: readonly string[] }
  | { readonly kind: 'new'; readonly end: readonly string[]; readonly because: string };

/** What a lineage must agree in, apart from its programs' tags. Help text may change. */
function identity(cpus: number, scope: string, hash: string, tables: readonly TableSchema[]): string {
  return JSON.stringify([cpus, scope, hash, tables.map(({ help: _, ...rest }) => rest)]);
}

/** Why `found` cannot be continued whatever its programs are, or undefined. */
export function mismatch(found: Pinned, wanted: Wanted, bootId: string): string | undefined {
  const { meta } = found;
  if (!meta) return 'its meta cannot be read';
  if (meta.probe !== wanted.probe) return 'it belongs to another probe';
  if (meta.bootId !== bootId) return 'it is from another boot';
  if (meta.cpus !== wanted.cpus) return 'the number of possible CPUs changed';
  if (meta.scope !== wanted.scope.path) return 'the scope changed';
  if (meta.schemaHash !== wanted.schemaHash) return 'the schema changed';
  if (
    identity(meta.cpus, meta.scope, meta.schemaHash, meta.tables) !==
    identity(wanted.cpus, wanted.scope.path, wanted.schemaHash, wanted.tables)
  ) {
    return 'the size or layout of its tables changed';
  }
  const detached = meta.programs.filter((p) => !found.linked.includes(p.name));
  if (detached.length > 0) return `it was detached (${detached.map((p) => p.name).join(', ')})`;
  return undefined;
}

/** `tags`: of the wanted programs that this kernel loads, or undefined where that was not tried or failed. */
export function choose(
  pinned: readonly Pinned[],
  wanted: Wanted,
  bootId: string,
  tags: ReadonlyMap<string, string> | undefined,
): Choice {
  const live = pinned.filter((p) => p.linked.length > 0);
  const reasons: string[] = [];
  const fit = live.filter((p) => {
    const reason = mismatch(p, wanted, bootId) ?? differentPrograms(p.meta!, wanted, tags);
    if (reason) reasons.push(reason);
    return !reason;
  });
  fit.sort((a, b) => (BigInt(a.meta!.createdBoottimeNs) < BigInt(b.meta!.createdBoottimeNs) ? -1 : 1));
  const adopted = fit[0];
  const end = live.filter((p) => p !== adopted).map((p) => p.uuid);
  if (adopted) return { kind: 'adopt', uuid: adopted.uuid, end };
  return {
    kind: 'new',
    end,
    because: reasons[0] ?? (pinned.length > 0 ? 'the lineages before have ended' : 'there was none'),
  };
}

function differentPrograms(
  meta: LineageMeta,
  wanted: Wanted,
  tags: ReadonlyMap<string, string> | undefined,
): string | undefined {
  if (!tags) return 'its programs could not be compared';
  const now = wanted.programs.filter((p) => tags.has(p.name));
  const same =
    now.length === meta.programs.length &&
    now.every((p) => meta.programs.some((q) => q.name === p.name && q.hook === p.hook && q.tag === tags.get(p.name)));
  return same ? undefined : 'its programs changed';
}
