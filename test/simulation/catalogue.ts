/**
 * The tables that simulated kernels count in, and the keys that occur in them: their bytes as the kernel has them, and
 * the text that a right answer shows. Made once; seeds share it.
 */
import { keyMark } from '../../services/shared/contract/key-mark.ts';
import { callerLabels, schemaHash, type TableSchema } from '../../services/shared/contract/lineage.ts';
import { valuesBySecond } from '../../services/shared/contract/seconds.ts';

export interface KeyCatalogue {
  readonly count: number;
  /** Mark and words of each key, as they stand in the keys map. */
  readonly entries: readonly Uint8Array[];
  /** What the series is called: the callers' labels, joined. Keys that decode alike share it. */
  readonly series: readonly string[];
  /** The number of each key's series among all of the table's. */
  readonly numbers: readonly number[];
}

export interface ProbeModel {
  readonly probe: string;
  readonly tables: readonly TableSchema[];
  readonly schemaHash: string;
  readonly keys: readonly KeyCatalogue[];
}

export const seriesOf = (labels: readonly string[]): string => labels.join('|');

/** All series of a table, whichever of its models counts them. */
export interface Series {
  readonly name: string;
  /** As a caller sees them: a histogram's bucket is not one. */
  readonly labels: Readonly<Record<string, string>>;
}
const seriesByTable = new Map<string, { readonly all: Series[]; readonly numbers: Map<string, number> }>();
/** Row 0 of a kernel, and what has no labels any more. */
export const overflowSeries = 0;
export const lostSeries = 1;

function tableOf(table: string): { readonly all: Series[]; readonly numbers: Map<string, number> } {
  let known = seriesByTable.get(table);
  if (!known) {
    const all = [
      { name: 'overflow', labels: {} },
      { name: 'of lost labels', labels: {} },
    ];
    seriesByTable.set(table, (known = { all, numbers: new Map() }));
  }
  return known;
}

/** By number. */
export const allSeries = (table: string): readonly Series[] => tableOf(table).all;
/** Undefined: no key of any model decodes to it. */
export const seriesNumber = (table: string, name: string): number | undefined => tableOf(table).numbers.get(name);

function catalogueOf(
  schema: TableSchema,
  keys: readonly { readonly entry: Uint8Array; readonly labels: readonly string[]; readonly bucket?: number }[],
): KeyCatalogue {
  const { all, numbers } = tableOf(schema.name);
  const names = callerLabels(schema).map((l) => l.name);
  const series = keys.map((k) => seriesOf([...k.labels, ...(k.bucket === undefined ? [] : [`${k.bucket}`])]));
  keys.forEach((key, i) => {
    if (numbers.has(series[i]!)) return;
    numbers.set(series[i]!, all.length);
    all.push({ name: series[i]!, labels: Object.fromEntries(names.map((n, l) => [n, key.labels[l]!])) });
  });
  return {
    count: keys.length,
    entries: keys.map((k) => k.entry),
    series,
    numbers: series.map((name) => numbers.get(name)!),
  };
}

const comms = ['nginx', 'bash', 'worker', 'db', 'cron', 'sshd'];

function entry(words: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(8 * (1 + words.length));
  const view = new DataView(bytes.buffer);
  words.forEach((w, i) => view.setBigUint64(8 + i * 8, w, true));
  view.setBigUint64(0, keyMark(view, 8, words.length), true);
  return bytes;
}

function commWords(comm: string): bigint[] {
  const bytes = new Uint8Array(16);
  new TextEncoder().encodeInto(comm, bytes);
  const view = new DataView(bytes.buffer);
  return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
}

/** Key = a number and a comm. */
function counterModel(name: string, rows: number, numbers: readonly number[] = [0, 1, 39, 1000]): ProbeModel {
  const table: TableSchema = {
    name,
    kind: 'counter',
    unit: 'calls',
    help: 'calls counted',
    rows,
    hints: 16,
    keyWords: 3,
    valueCount: 1,
    labels: [
      { name: 'number', meaning: 'u64', offset: 0, size: 8 },
      { name: 'comm', meaning: 'comm', offset: 8, size: 16 },
    ],
  };
  const all = comms.flatMap((comm) => numbers.map((number) => ({ comm, number })));
  return {
    probe: name,
    tables: [table],
    schemaHash: schemaHash([table]).toString(16).padStart(16, '0'),
    keys: [
      catalogueOf(
        table,
        all.map(({ comm, number }) => ({
          entry: entry([BigInt(number), ...commWords(comm)]),
          labels: [`${number}`, comm],
        })),
      ),
    ],
  };
}

/** Under the same name with other labels: comms alone. */
function relabelledModel(name: string, rows: number): ProbeModel {
  const like = counterModel(name, rows).tables[0]!;
  const table: TableSchema = { ...like, keyWords: 2, labels: [{ ...like.labels[1]!, offset: 0 }] };
  return {
    probe: name,
    tables: [table],
    schemaHash: schemaHash([table]).toString(16).padStart(16, '0'),
    keys: [
      catalogueOf(
        table,
        comms.map((comm) => ({ entry: entry(commWords(comm)), labels: [comm] })),
      ),
    ],
  };
}

/** Key = a comm and a bucket; and a second table, so that a batch has two blocks, whose rows are kept by second. */
function histogramModel(rows: number): ProbeModel {
  const waits: TableSchema = {
    name: 'waits',
    kind: 'histogram',
    unit: 'ns',
    help: 'time waited',
    rows,
    hints: 16,
    keyWords: 3,
    valueCount: 2,
    labels: [
      { name: 'comm', meaning: 'comm', offset: 0, size: 16 },
      { name: 'bucket', meaning: 'bucket', offset: 16, size: 8 },
    ],
  };
  const wakes: TableSchema = {
    ...waits,
    name: 'wakes',
    kind: 'counter',
    unit: 'wakes',
    help: 'wake-ups',
    keyWords: 2,
    valueCount: valuesBySecond,
    labels: [waits.labels[0]!],
  };
  const buckets = [3, 9, 40, 200];
  const both = comms.flatMap((comm) => buckets.map((bucket) => ({ comm, bucket })));
  return {
    probe: 'waits',
    tables: [waits, wakes],
    schemaHash: schemaHash([waits, wakes]).toString(16).padStart(16, '0'),
    keys: [
      catalogueOf(
        waits,
        both.map(({ comm, bucket }) => ({
          entry: entry([...commWords(comm), BigInt(bucket)]),
          labels: [comm],
          bucket,
        })),
      ),
      catalogueOf(
        wakes,
        comms.map((comm) => ({ entry: entry(commWords(comm)), labels: [comm] })),
      ),
    ],
  };
}

/** Small tables fill up and overflow; large ones never do. */
export const models = {
  calls: [8, 16, 32].map((rows) => counterModel('calls', rows)),
  waits: [8, 32].map(histogramModel),
  /** So many rows that a keyframe goes out in parts, where messages are small. */
  wide: counterModel(
    'wide',
    256,
    Array.from({ length: 36 }, (_, i) => i * 7),
  ),
} as const;

const relabelled = [relabelledModel('calls', 16), relabelledModel('wide', 16)];

/** What a new version of a probe may count in: more or fewer rows, or other labels. */
export const variantsOf = ({ probe }: ProbeModel): ProbeModel[] =>
  [...models.calls, ...models.waits, models.wide, ...relabelled].filter((m) => m.probe === probe);
