/**
 * Settings of a role: flag > environment (MUSTER_…) > file > default, with the origin of each value kept.
 * Pure: the caller hands in argv, environment and parsed files.
 */
import { MusterError } from './errors.ts';

/** Whatever can parse a value: a zod schema does. Strings come from flags and environment. */
export interface ValueSchema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: { issues: { message: string }[] } };
}

export interface Setting<T> {
  readonly schema: ValueSchema<T>;
  /** Shown in --help. */
  readonly help: string;
  /** Shown in --help for the value, e.g. "HOST:PORT"; absent for a switch (boolean). */
  readonly value?: string;
  /** As text; absent when the setting may be undefined. */
  readonly fallback?: string;
  /** True for a flag that may be given many times: the schema gets a list. */
  readonly repeat?: boolean;
}

export type Settings = Record<string, Setting<unknown>>;
export type ValuesOf<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };
export type Origin = 'flag' | 'environment' | 'default' | `file ${string}`;

export interface Sources {
  /** Words after the verb. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Parsed files, the strongest first. */
  readonly files?: readonly { readonly path: string; readonly values: Readonly<Record<string, unknown>> }[];
}

/** "stateDir" → "--state-dir" and "MUSTER_STATE_DIR". */
const kebab = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
export const flagOf = (name: string): string => `--${kebab(name)}`;
export const variableOf = (name: string): string => `MUSTER_${kebab(name).replaceAll('-', '_').toUpperCase()}`;

/** Resolves all settings, or throws MusterError config/invalid naming flag, value and a suggestion. */
export function resolveSettings<S extends Settings>(
  settings: S,
  sources: Sources,
): {
  values: ValuesOf<S>;
  origins: Record<keyof S, Origin>;
  /** As they were said. */
  texts: Record<keyof S, string | readonly string[] | undefined>;
  operands: string[];
} {
  const flags = new Map<string, unknown>();
  const operands: string[] = [];
  const names = Object.keys(settings);
  for (let i = 0; i < sources.argv.length; i++) {
    const word = sources.argv[i]!;
    if (word === '--') {
      operands.push(...sources.argv.slice(i + 1));
      break;
    }
    if (!word.startsWith('--')) {
      operands.push(word);
      continue;
    }
    const [flag, inline] = word.split(/=(.*)/s) as [string, string | undefined];
    const name = names.find((n) => flagOf(n) === flag);
    if (!name) throw invalid(`unknown flag ${flag}`, nearest(flag, names.map(flagOf)));
    const setting = settings[name]!;
    if (setting.value === undefined) flags.set(name, inline ?? 'true');
    else {
      const value = inline ?? sources.argv[++i];
      if (value === undefined) throw invalid(`${flag} needs a value ${setting.value}`);
      flags.set(name, setting.repeat ? [...((flags.get(name) as string[]) ?? []), value] : value);
    }
  }
  for (const { path, values: said } of sources.files ?? []) {
    const unknown = Object.keys(said).find((key) => !names.includes(key) || key === 'help');
    if (unknown === undefined) continue;
    const close = nearest(unknown, names);
    throw invalid(`read ${path}: unknown setting ${kebab(unknown)}`, close && kebab(close));
  }
  const values: Record<string, unknown> = {};
  const texts: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  for (const name of names) {
    const setting = settings[name]!;
    const variable = sources.env[variableOf(name)];
    const file = sources.files?.find((f) => Object.hasOwn(f.values, name));
    const [raw, origin]: [unknown, Origin] = flags.has(name)
      ? [flags.get(name), 'flag']
      : variable !== undefined
        ? [setting.repeat ? variable.split(' ') : variable, 'environment']
        : file
          ? [setting.repeat ? [file.values[name]].flat() : file.values[name], `file ${file.path}`]
          : [setting.repeat && setting.fallback === undefined ? [] : setting.fallback, 'default'];
    const parsed = setting.schema.safeParse(raw);
    if (!parsed.success) {
      const place =
        origin === 'environment'
          ? variableOf(name)
          : file && origin !== 'flag'
            ? `${file.path}: ${kebab(name)}`
            : flagOf(name);
      throw invalid(`${place} ${[raw].flat().join(' ')}: ${parsed.error.issues[0]?.message ?? 'not valid'}`);
    }
    values[name] = parsed.data;
    texts[name] = raw;
    origins[name] = origin;
  }
  return {
    values: values as ValuesOf<S>,
    origins: origins as Record<keyof S, Origin>,
    texts: texts as never,
    operands,
  };
}

/** The --help text of a role, as the other verbs have it; `examples` where the command line does not add its own. */
export function roleHelp(verb: string, what: string, settings: Settings, examples: readonly string[] = []): string {
  const rows = Object.entries(settings).map(([name, s]) => {
    const fallback = s.fallback !== undefined && s.value ? `default: ${JSON.stringify(s.fallback)}, ` : '';
    return [
      `  ${flagOf(name)}${s.value ? ` <${s.value.toLowerCase()}>` : ''}`,
      name === 'help' ? s.help : `${s.help} (${fallback}env: ${variableOf(name)})`,
    ];
  });
  const width = Math.max(...rows.map(([flag]) => flag!.length)) + 2;
  const options = rows.map(([flag, help]) => flag!.padEnd(width) + help).join('\n');
  const shown = examples.length > 0 ? `\nexamples:\n${examples.map((e) => `  ${e}\n`).join('')}` : '';
  return `Usage: muster ${verb} [options]\n\n${what}\n\nOptions:\n${options}\n${shown}`;
}

const invalid = (what: string, suggestion?: string): MusterError =>
  new MusterError('config/invalid', what, suggestion ? { remedy: `did you mean ${suggestion}?` } : {});

/** The closest of `candidates` by edit distance, or undefined when none is close. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bound = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const c of candidates) {
    const d = editDistance(word, c);
    if (d < bound) [best, bound] = [c, d];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
