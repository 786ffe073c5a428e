/**
 * Functions of programs and libraries that a probe shall count, "functions:/path/to/binary:symbol" among the probes'
 * names; ":2" behind it has the second argument (1 to 3) read as text. For every object whose programs stand in
 * SEC("uprobe") and SEC("uretprobe") alone. Pure.
 */
import type { TableSchema } from '../../shared/contract/lineage.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { ProgramSpec } from '../object/object.ts';

export interface FunctionTarget {
  /** Absolute. */
  readonly path: string;
  readonly symbol: string;
  /** 1 to 3: the argument that is text; 0: none. */
  readonly argument: number;
}

const functionsMax = 64;

/** Hooks that name no function: their programs are attached to each target. */
export const takesFunctions = (hook: string): boolean => hook === 'uprobe' || hook === 'uretprobe';

/** "/PATH:SYMBOL[:ARGUMENT]". */
export function parseFunction(text: string): FunctionTarget {
  const match = /^(\/[^:]*[^:/]):([^:/\s]+)(?::([1-3]))?$/.exec(text);
  if (!match) {
    throw new MusterError('config/invalid', `function ${text}: expected /PATH:SYMBOL or /PATH:SYMBOL:ARGUMENT`, {
      remedy: 'for example functions:/usr/bin/bash:readline; the argument, 1 to 3, is read as text',
    });
  }
  return { path: match[1]!, symbol: match[2]!, argument: Number(match[3] ?? 0) };
}

/** The words that name probes, each once, and by word the functions that stand behind a colon. */
export function splitFunctions(words: readonly string[]): {
  probes: string[];
  functions: Map<string, FunctionTarget[]>;
} {
  const probes: string[] = [];
  const functions = new Map<string, FunctionTarget[]>();
  for (const word of words) {
    const [, probe, target] = /^([^:]+):(.*)$/.exec(word) ?? [];
    if (probe === undefined) {
      probes.push(word);
      continue;
    }
    const known = functions.get(probe) ?? [];
    if (known.length === 0) probes.push(probe);
    functions.set(probe, [...known, parseFunction(target!)]);
  }
  return { probes, functions };
}

/** What the attached program is told of its target: bpf/functions.bpf.c. */
const cookieOf = ({ argument }: FunctionTarget, index: number): bigint => BigInt(index) | (BigInt(argument) << 16n);

/** Programs with their functions as hooks, and tables that name them. Throws when there are none, or no use for them. */
export function withFunctions(
  probe: string,
  programs: readonly ProgramSpec[],
  tables: readonly TableSchema[],
  targets: readonly FunctionTarget[],
): { programs: ProgramSpec[]; tables: TableSchema[] } {
  const open = programs.some((p) => takesFunctions(p.hook));
  const refuse = (what: string, remedy: string): never => {
    throw new MusterError('config/invalid', `probe ${probe}: ${what}`, { remedy });
  };
  if (open && targets.length === 0)
    refuse('it names no function', `name one: ${probe}:/path/to/binary:symbol, as often as there are functions`);
  if (!open && targets.length > 0)
    refuse(
      'it takes no functions',
      'its programs name their hooks themselves; SEC("uprobe") alone leaves it to the loader',
    );
  if (targets.length > functionsMax) refuse(`${targets.length} functions, at most ${functionsMax}`, 'name fewer');
  const said = targets.map(({ path, symbol, argument }) => `${path}:${symbol}${argument ? `:${argument}` : ''}`);
  const names = Object.fromEntries(
    targets.map(({ path, symbol }, i) => [String(i), `${path.slice(path.lastIndexOf('/') + 1)}:${symbol}`]),
  );
  const attached = targets.map((t, i) => ({ path: t.path, symbol: t.symbol, cookie: cookieOf(t, i) }));
  return {
    programs: programs.map((p) =>
      takesFunctions(p.hook) ? { ...p, hook: `${p.hook}/${said.join(',')}`, targets: attached } : p,
    ),
    tables: tables.map((t) => ({
      ...t,
      labels: t.labels.map((l) => (open && l.meaning === 'function' ? { ...l, names } : l)),
    })),
  };
}
