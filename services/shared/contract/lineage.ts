/**
 * What a lineage's pinned directory says of itself, and the schema of its tables.
 *
 * Directory <pin-root>/<probe>/<uuid as 32 hex>/ on bpffs (names there may hold no dot):
 *   meta                    array map, one value: this JSON, zero-padded
 *   control                 mmapable array map (contract/control.ts)
 *   <table>-ids-<slot>      hash: key → u32 row                            (absent where the key is the row)
 *   <table>-hints-<slot>    mmapable array of u32, cpus × hints
 *   <table>-keys-<slot>     mmapable array: row → u64 mark, then the key's words. Mark 0: not ready, else hash | 1.
 *                           Entry 0 is no row's key: its mark counts the rows issued.
 *   <table>-cells-<slot>    mmapable array: (cpu × (rows + 1) + row) → valueCount u64. Row 0 is the overflow row.
 *   <table>-ledger-<slot>   mmapable array: cpu → u64 seen, failed[4], spare row, pad[2], sampled, given, sampled sum,
 *                           given sum, largest weight, salt, pad[2]   (128 bytes; 64, without sampling, in older ones)
 *   stacks                  LRU hash: u64 → frames of a stack; where a table has stacks as labels
 *   inbox                   mmapable array: accounts to be counted (accounts.ts); of the probe `muster` alone
 *   ended                   present once its probe was unloaded: nothing will count here again
 *   grace, grace-inner      map of maps and the map to put into it: an update of it waits one grace period
 *   prog-<program>          the program
 *   link-<program>          its link; readable by root alone, but that of `muster`, whose reading has
 *                           its program run, by the group too; link-<program>+<n> where it has several
 *
 * Beside the probes' directories: missing-probes, an array map of one value: JSON of the probes that could not be loaded.
 */
import { z } from 'zod';
import { xxh32 } from './checksum.ts';

/** A link's name after `link-`: that of its program, and a number where the program has more links than one. */
export const linkName = (program: string, n: number): string => `${program}+${n}`;
export const programOfLink = (name: string): string => name.replace(/\+\d+$/, '');

/**
 * Version of the directory's layout. Every one up to this is read; a reader leaves newer ones alone, and the kernel
 * counts on. 1: before labels could be sampled, a ledger of 64 bytes.
 */
export const lineageFormat = 2;

/** What a table's values are, and by that how they are joined. Wire version 1 carries the first two (wire.ts). */
export const tableKinds = ['counter', 'histogram', 'distinct', 'heavy', 'filter'] as const;
export type TableKind = (typeof tableKinds)[number];

const label = z.object({
  /** Name in selectors, e.g. "comm". */
  name: z.string().min(1),
  /** How the bytes become text: comm, syscall, u64, bucket, … (agent/labels). */
  meaning: z.string().min(1),
  /** Position within the key, in bytes, and its size. */
  offset: z.number().int().nonnegative(),
  size: z.number().int().positive(),
  /** Names of a C enum's values, by decimal number. */
  names: z.record(z.string(), z.string()).optional(),
});

const table = z.object({
  /** Name in the object and in the pins: [a-z][a-z0-9_]*. Also the metric's name. */
  name: z.string().regex(/^[a-z][a-z0-9_]*$/),
  /** distinct, heavy, filter: sketches, see bpf/sketch.h and algebra/. */
  kind: z.enum(tableKinds),
  /** Unit of the first value (histogram: of the observed value, in which value 1 is summed): "calls", "ns". */
  unit: z.string(),
  help: z.string(),
  /** Capacity, row 0 excluded. */
  rows: z.number().int().positive(),
  /** Hints per CPU; a power of two. */
  hints: z.number().int().positive(),
  /** Key length in 64-bit words; a histogram's bucket, a register, a cell is its last word. */
  keyWords: z.number().int().positive(),
  /** u64 values in a cell: 1; histogram 2: count, sum; filter 2: number of bits set, the bits; counter by second 11. */
  valueCount: z.number().int().positive(),
  labels: z.array(label),
});

const program = z.object({
  name: z.string(),
  /** Section as attached, e.g. "tp_btf/sys_enter". */
  hook: z.string(),
  /** The kernel's 8-byte tag, as 16 hex digits. */
  tag: z.string(),
  /** False where this kind of hook drops runs without a counter: skips unknown. */
  skipsCounted: z.boolean(),
});

/** A probe that a host could not load, or a program that one of its probes counts without. */
const missing = z.object({
  probe: z.string(),
  /** Empty: the whole probe; then hook is empty too. */
  program: z.string(),
  hook: z.string(),
  reason: z.string(),
});

/** Pin beside the probes' directories (a name that no probe can have): JSON of what could not be loaded. */
export const missingPin = 'missing-probes';

const meta = z.object({
  format: z.number().int().min(1).max(lineageFormat, 'a newer version of Muster wrote it: upgrade this one'),
  probe: z.string(),
  uuid: z.string().regex(/^[0-9a-f]{32}$/),
  bootId: z.string().regex(/^[0-9a-f]{32}$/),
  createdBoottimeNs: z.string().regex(/^\d+$/),
  createdWallNs: z.string().regex(/^\d+$/),
  /** Possible CPUs: the stride of cells. */
  cpus: z.number().int().positive(),
  /** cgroup v2 path counted, or empty for the whole host. */
  scope: z.string(),
  /** 16 hex digits. */
  schemaHash: z.string().regex(/^[0-9a-f]{16}$/),
  /** Kernel memory of all its maps, as billed when it was loaded; absent in lineages of earlier versions. */
  billBytes: z.number().nonnegative().optional(),
  /** Rows by table that the object asked for, where the host's memory budget gave it fewer. */
  declaredRows: z.record(z.string(), z.number().int().positive()).optional(),
  programs: z.array(program),
  /** Programs that this kernel would not have; absent in lineages of earlier versions. */
  missing: z.array(missing).optional(),
  tables: z.array(table).min(1),
});

export type LabelSchema = z.infer<typeof label>;
export type TableSchema = z.infer<typeof table>;
export type ProgramSchema = z.infer<typeof program>;
export type Missing = z.infer<typeof missing>;
export type LineageMeta = z.infer<typeof meta>;

/** Parsed before: a fleet has few schemas, and each of its lineages brings one. */
const parsed = new Map<string, readonly TableSchema[]>();
const parsedKept = 256;

/** Equal texts give the same tables. Throws a ZodError, or a SyntaxError, when it is no schema. */
export function parseTables(json: string): readonly TableSchema[] {
  const known = parsed.get(json);
  if (known) return known;
  const tables = z.array(table).parse(JSON.parse(json));
  if (parsed.size >= parsedKept) parsed.clear();
  parsed.set(json, tables);
  return tables;
}

/** Parses the meta map's text; throws a ZodError that names the field when it is not one. */
export const parseLineageMeta = (json: string): LineageMeta => meta.parse(JSON.parse(json));

/** The label in which a kind keeps what is its own business, by meaning: no label for callers. */
export const innerLabels: Readonly<Partial<Record<TableKind, string>>> = {
  histogram: 'bucket',
  distinct: 'register',
  heavy: 'cell',
  filter: 'word',
};

/** What could not be loaded, from its pin's text. */
export const parseMissing = (json: string): Missing[] => z.array(missing).parse(JSON.parse(json));

/** Labels as callers see them. */
export const callerLabels = (schema: TableSchema): LabelSchema[] =>
  schema.labels.filter((l) => l.meaning !== innerLabels[schema.kind]);

/** The value of a kind that is a set of bits and joins by OR; -1: all are sums. */
export const bitsAt = ({ kind }: Pick<TableSchema, 'kind'>): number => (kind === 'filter' ? 1 : -1);

/** The table that holds the Bloom filter of a table of values seen first (MUSTER_FIRST_SEEN). */
export const filterOf = (table: string): string => `${table}_filter`;

/** What must agree for two hosts' rows to be one series: names, kinds, units, labels. Capacity and offsets may differ. */
export function schemaHash(tables: readonly TableSchema[]): bigint {
  const text = JSON.stringify(
    tables.map((t) => [t.name, t.kind, t.unit, t.valueCount, t.labels.map((l) => [l.name, l.meaning])]),
  );
  const bytes = new TextEncoder().encode(text);
  return (BigInt(xxh32(bytes, 0)) << 32n) | BigInt(xxh32(bytes, 1));
}
