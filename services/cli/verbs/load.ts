/** `muster load FILE…`: what it asks of the keeper, what it tells of the answer, and where in a source an error lies. */
import { z } from 'zod';
import type { ErrorCode } from '../../shared/runtime/errors.ts';
import { MusterError, errorCodes } from '../../shared/runtime/errors.ts';
import { inUnit } from '../output/units.ts';
import type { OptionSpec } from '../output/verb.ts';

export const keeperOptions: readonly OptionSpec[] = [
  { flag: '--socket <path>', help: "the keeper's socket (default that of the running `muster up`)" },
  { flag: '--state-dir <dir>', help: 'the running `muster up` that is meant, where there are several' },
];

export const loadOptions: readonly OptionSpec[] = [
  ...keeperOptions,
  { flag: '--rows <table=n>', help: "a table's number of rows, instead of its own", repeat: true },
  {
    flag: '--with <probe=labels>',
    help: 'opt-in labels of its events: cgroup, container, pod, process, cmdline',
    repeat: true,
  },
  { flag: '--replace', help: 'take the place of a probe of the same name that counts now' },
  { flag: '--verbose', help: "on a refusal show the verifier's whole log" },
  { flag: '-o, --output <format>', help: 'table or json', fallback: 'table' },
];

export const loadExamples: readonly [string, string] = [
  'muster load my_probe.bpf.c',
  'muster load ./build/my_probe.bpf.o --rows my_table=65536',
];

const valueFlags = new Set(
  ['--socket', '--state-dir', '--rows', '--with', '-o', '--output'].concat(
    ['--probes', '--pin-root', '--objects', '--scope', '--gid', '--memory-budget', '--log-level'], // the loader's
  ),
);

/** True when there are words besides flags and their values: then `load` asks the keeper, else it is the loader. */
export function namesProbes(argv: readonly string[]): boolean {
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') return i + 1 < argv.length;
    if (!word.startsWith('-')) return true;
    if (valueFlags.has(word)) i++;
  }
  return false;
}

/** Rows by table from "TABLE=N" words. */
export function rowsOf(words: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    words.map((word) => {
      const match = /^([a-z][a-z0-9_]*)=([1-9]\d{0,9})$/.exec(word);
      if (!match) {
        throw new MusterError('config/invalid', `--rows ${JSON.stringify(word)}: not TABLE=N`, {
          cause: 'a table’s name and a whole number of rows belong there',
          remedy: 'for example --rows my_table=65536',
        });
      }
      return [match[1]!, Number(match[2])] as const;
    }),
  );
}

/** The words that name probes, each once, with the functions that stand behind a colon: functions:/usr/bin/x:main. */
export function probesOf(words: readonly string[]): { word: string; functions: string[] }[] {
  const found = new Map<string, string[]>();
  for (const word of words) {
    const [, probe = word, target] = /^([^:]+):(\/.*)$/.exec(word) ?? [];
    found.set(probe, [...(found.get(probe) ?? []), ...(target === undefined ? [] : [target])]);
  }
  return [...found].map(([word, functions]) => ({ word, functions }));
}

/** Labels by probe from "PROBE=LABEL,LABEL" words; the keeper knows which there are. */
export function labelsOf(words: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const word of words) {
    const match = /^([a-z][a-z0-9_]*)=([a-z]+(?:,[a-z]+)*)$/.exec(word);
    if (!match) {
      throw new MusterError('config/invalid', `--with ${JSON.stringify(word)}: not PROBE=LABEL,LABEL`, {
        cause: 'a probe’s name and the labels that it shall have belong there',
        remedy: 'for example --with syscalls=cgroup',
      });
    }
    found.set(match[1]!, [...(found.get(match[1]!) ?? []), ...match[2]!.split(',')]);
  }
  return found;
}

const loaded = z.object({
  lineage: z.object({
    probe: z.string(),
    adopted: z.boolean(),
    billBytes: z.number(),
    programs: z.array(z.object({ hook: z.string(), state: z.string(), reason: z.string().optional() })),
  }),
  tables: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      unit: z.string(),
      help: z.string(),
      rows: z.number(),
      labels: z.array(z.object({ name: z.string(), meaning: z.string() })),
    }),
  ),
  shrunk: z.array(z.object({ table: z.string(), declared: z.number(), rows: z.number() })),
  usedBytes: z.number(),
  budgetBytes: z.number(),
});

/** What a person wants to know of a probe that was loaded; `server` is where its metrics can be asked for. */
export function loadReport(reply: unknown, server: string): string[] {
  const { lineage, tables, shrunk, usedBytes, budgetBytes } = loaded.parse(reply);
  const { probe, programs } = lineage;
  const attached = programs.filter((p) => p.state === 'attached').map((p) => p.hook);
  const size = (bytes: number): string => inUnit(bytes, 'bytes');
  const metric = (t: (typeof tables)[number]): string => {
    const labels = t.labels.filter((l) => l.meaning !== 'bucket').map((l) => l.name);
    return `  metric ${t.name}: ${t.help} (${t.kind}, ${t.unit}; ${labels.length > 0 ? `labels ${labels.join(', ')}` : 'no labels'}; ${t.rows} rows)`;
  };
  const first = tables[0]!;
  const verb = first.kind === 'histogram' ? 'hist' : 'top';
  return [
    `${probe}: ${lineage.adopted ? 'counts already; ' : ''}attached to ${attached.join(', ')}`,
    ...programs.filter((p) => p.state !== 'attached').map((p) => `  not attached to ${p.hook}: ${p.reason ?? p.state}`),
    ...tables.map(metric),
    ...shrunk.map(
      (s) =>
        `  table ${s.table}: sized down from ${s.declared} to ${s.rows} rows to fit the memory budget of this host`,
    ),
    `  kernel memory ${size(lineage.billBytes)}; all probes ${size(usedBytes)} of ${size(budgetBytes)}`,
    `  try: muster ${verb} ${first.name} --server ${server}`,
  ];
}

const refusal = z.object({
  code: z.string(),
  message: z.string(),
  what: z.string().optional(),
  why: z.string().optional(),
  fix: z.string().optional(),
  log: z.string().optional(),
});

/** A keeper's refusal as the error of this command, with the line of the source where that can be told. */
export function refusalOf(
  act: string,
  error: unknown,
  source?: { readonly name: string; readonly text: string },
): MusterError {
  const parsed = refusal.safeParse(error);
  if (!parsed.success) return new MusterError('keeper/refused', act, { cause: 'the keeper’s answer cannot be read' });
  const { code, what = parsed.data.message, why = '', fix, log } = parsed.data;
  const known = errorCodes.includes(code as ErrorCode) ? (code as ErrorCode) : 'keeper/refused';
  const line = source && !/\.c:\d+/.test(why) ? lineOf(source.text, what) : undefined;
  const reason = why === '' || what.includes(why) ? what : `${what}: ${why}`;
  return new MusterError(known, act, {
    cause: line === undefined ? reason : `${source!.name}:${line}: ${reason}`,
    ...(known === 'bpf/verifier'
      ? { remedy: 'repeat with --verbose for the verifier’s log; its last lines name the instruction' }
      : fix === undefined
        ? {}
        : { remedy: fix }),
    ...(log === undefined ? {} : { log }),
  });
}

/** The line of a source that an error about a struct's member, a table or a program is about; BTF itself knows none. */
export function lineOf(source: string, what: string): number | undefined {
  const lines = source.split('\n');
  const find = (pattern: RegExp, from = 0): number | undefined => {
    const at = lines.findIndex((line, i) => i >= from && pattern.test(line));
    return at < 0 ? undefined : at + 1;
  };
  const member = /\b(\w+)\.(\w+)\b/.exec(what);
  const struct = /\bstruct (\w+)/.exec(what)?.[1] ?? member?.[1];
  const table = /\btable (\w+)/.exec(what)?.[1];
  const named = /\b(?:program|map|constant) (\w+)/.exec(what)?.[1];
  const place =
    struct === undefined
      ? undefined
      : find(new RegExp(`\\bstruct\\s+${struct}\\b\\s*\\{?\\s*$|\\bstruct\\s+${struct}\\s*\\{`));
  if (place !== undefined) {
    const inside = member && member[1] === struct ? find(new RegExp(`\\b${member[2]}\\b`), place - 1) : undefined;
    return inside ?? place;
  }
  if (table !== undefined)
    return find(new RegExp(`\\bMUSTER_\\w+\\(\\s*${table}\\b`)) ?? find(new RegExp(`\\b${table}_keys_0\\b`));
  return named === undefined ? undefined : find(new RegExp(`\\b${named}\\b`));
}

/** clang's words as an error: its first complaint, with file and line. */
export function compileError(file: string, text: string): MusterError {
  const first = text.split('\n').find((line) => /: (?:fatal )?error: /.test(line));
  return new MusterError('bpf/compile', `compile ${file}`, {
    cause: first ?? text.trim().split('\n').at(-1) ?? 'clang failed',
    ...(text.trim() === '' ? {} : { log: text.trimEnd() }),
  });
}
