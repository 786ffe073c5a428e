/**
 * One way of doing a task in the kernel, ours or a naive one: loaded, attached, driven with known calls, read, weighed.
 * Ours comes from kernel/ours.bpf.c, sized as the loader does; naive ones from kernel/naive.bpf.c.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { resolveScope } from '../../../services/loader/adapters/host.ts';
import { want } from '../../../services/loader/load/wanted.ts';
import { readObject } from '../../../services/loader/object/object.ts';
import { BpfObject } from '../../../services/shared/adapters/libbpf-object.ts';
import { mapInfo, possibleCpus, readChunks } from '../../../services/shared/adapters/libbpf.ts';
import { mapShared } from '../../../services/shared/adapters/libc.ts';
import type { TableSchema } from '../../../services/shared/contract/lineage.ts';
import { constantsMap, controlMap, mapName, slotParts } from '../../../services/shared/contract/table-maps.ts';
import { generate } from '../../kernel/generator.ts';
import { checkout } from '../../kernel/probe.ts';
import { median } from '../contender.ts';

export interface Form {
  readonly name: string;
  readonly ours: boolean;
  readonly program: string;
  /** Maps that the task needs; ours: of the tables named, and these. */
  readonly maps: readonly string[];
  readonly tables?: readonly string[];
}

/** Call numbers are from here on (kernel/counted.h): none exists, and nobody else makes them. */
export const firstNumber = 500_000_000;

export const form = (name: string, program: string, ...maps: string[]): Form => ({ name, ours: false, program, maps });
export const own = (name: string, program: string, tables: string[], ...maps: string[]): Form => ({
  ...{ name, ours: true, program, tables, maps },
});
export const sum = (values: Iterable<bigint>): number => Number([...values].reduce((a, b) => a + b, 0n));

const objects = new Map<string, Buffer>();

function compiled(source: 'ours' | 'naive' | 'empty'): Buffer {
  const known = objects.get(source);
  if (known) return known;
  const path = join(checkout, `build/test/bench/${source}.bpf.o`);
  execFileSync(join(checkout, 'deploy/build-bpf.sh'), [join(import.meta.dirname, `../kernel/${source}.bpf.c`), path]);
  const object = readFileSync(path);
  objects.set(source, object);
  return object;
}

export class Loaded {
  private constructor(
    readonly form: Form,
    readonly object: BpfObject,
    readonly tables: readonly TableSchema[],
  ) {}

  static load(form: Form): Loaded {
    const bytes = compiled(form.ours ? 'ours' : 'naive');
    const object = BpfObject.open(bytes, form.ours ? 'ours' : 'naive', [form.program]);
    let tables: readonly TableSchema[] = [];
    if (form.ours) {
      const wanted = want('ours', readObject(bytes), possibleCpus(), resolveScope(undefined), new Map());
      for (const [map, rows] of wanted.mapRows) object.setRows(map, rows);
      object.setInitialValue(constantsMap, wanted.constants);
      object.setInitialValue(controlMap, wanted.control);
      ({ tables } = wanted);
    }
    const refused = object.load() ?? object.attach(form.program);
    if (refused) throw refused.error;
    return new Loaded(form, object, tables);
  }

  close(): void {
    this.object.close();
  }

  /** Kernel memory of the maps, as the kernel accounts it. */
  memoryBytes(): number {
    const of = (this.form.tables ?? []).flatMap((t) =>
      slotParts.flatMap((part) => [mapName(t, part, 0), mapName(t, part, 1)]),
    );
    return [...of, ...this.form.maps].reduce((sum, map) => sum + memoryOf(this.object.mapFd(map)), 0);
  }

  /** Value by key of a naive map, CPUs added up. */
  hash(map: string, perCpu = false): Map<number, bigint> {
    const fd = this.object.mapFd(map);
    const words = perCpu ? possibleCpus() : 1;
    const found = new Map<number, bigint>();
    for (const { count, keys, values } of readChunks(fd, 8, words * 8, mapInfo(fd, map).maxRows, map)) {
      for (let i = 0; i < count; i++) {
        let sum = 0n;
        for (let w = 0; w < words; w++) sum += values.readBigUInt64LE((i * words + w) * 8);
        found.set(Number(keys.readBigUInt64LE(i * 8)), sum);
      }
    }
    return found;
  }

  /** The words of a mapped array. */
  words(map: string, count: number): bigint[] {
    const mapping = mapShared(this.object.mapFd(map), count * 8, false, map);
    const words = [...mapping.words];
    mapping.unmap();
    return words;
  }

  /** Rows of slot 0 of one of our tables: key words, first value; row 0 is the overflow's. */
  rows(table: string): { key: readonly bigint[]; value: bigint }[] {
    const schema = this.tables.find((t) => t.name === table)!;
    const { rows, keyWords, valueCount } = schema;
    const all = possibleCpus();
    const map = (part: 'keys' | 'cells', words: number) =>
      mapShared(this.object.mapFd(mapName(table, part, 0)), words * 8, false, `${table} ${part}`);
    const keys = map('keys', (rows + 1) * (1 + keyWords));
    const cells = map('cells', all * (rows + 1) * valueCount);
    const issued = Math.min(rows, Number(keys.words[0]!));
    const found = [];
    for (let row = 0; row <= issued; row++) {
      let value = 0n;
      for (let cpu = 0; cpu < all; cpu++) value += cells.words[(cpu * (rows + 1) + row) * valueCount]!;
      const at = row * (1 + keyWords) + 1;
      found.push({ key: [...keys.words.slice(at, at + keyWords)], value });
    }
    keys.unmap();
    cells.unmap();
    return found;
  }
}

function memoryOf(fd: number): number {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  return Number(/^memlock:\s*(\d+)/m.exec(text)?.[1] ?? NaN);
}

/** Calls by `threads` threads, spread over the CPUs, of `keys` numbers in rotation: `calls` by each. */
export const drive = (threads: number, keys: number, calls: number): Promise<unknown> =>
  generate([
    ...['--threads', threads, '--spread', '--pin', 0],
    ...['--call', 'number', '--first', firstNumber, '--keys', keys, '--calls', calls],
  ]);

/** Loads a form, drives it, and asks what is there. */
export async function counted<T>(
  wanted: Form,
  threads: number,
  keys: number,
  calls: number,
  ask: (l: Loaded) => T,
): Promise<T> {
  const loaded = Loaded.load(wanted);
  try {
    await drive(threads, keys, calls);
    return ask(loaded);
  } finally {
    loaded.close();
  }
}

const callsPerRound = 4000;
const roundsPerTurn = 60;

/** ns per call on one pinned CPU, of the fastest round after the first. */
async function turn(keys: number): Promise<number> {
  const { ns } = await generate([
    ...['--pin', cpus().length - 1, '--call', 'number', '--first', firstNumber],
    ...['--keys', keys, '--calls', callsPerRound, '--rounds', roundsPerTurn],
  ]);
  return Math.min(...ns.slice(1)) / callsPerRound;
}

/** ns per event over an empty program on the same hook, by form: all take turns, so that a busy moment meets all. */
export async function netNs(forms: readonly Form[], keys: number, turns: number): Promise<Map<string, number>> {
  const times = new Map<string, number[]>();
  const empty: number[] = [];
  for (let i = 0; i < turns; i++) {
    const idle = BpfObject.open(compiled('empty'), 'empty', ['on_empty']);
    const refused = idle.load() ?? idle.attach('on_empty');
    if (refused) throw refused.error;
    empty.push(await turn(keys));
    idle.close();
    for (const one of forms) {
      const loaded = Loaded.load(one);
      try {
        times.set(one.name, [...(times.get(one.name) ?? []), await turn(keys)]);
      } finally {
        loaded.close();
      }
    }
  }
  return new Map(forms.map((f) => [f.name, median(times.get(f.name)!.map((ns, i) => ns - empty[i]!))]));
}
