/**
 * What `syscalls` adds to a system call: ns per event over an empty program on the same hook, with 10, 300 and 4,000
 * keys in rotation, beside the leanest common program (bench/kernel/leanest.bpf.c), which has neither name nor ledger.
 * The three take turns on one pinned CPU, many times; a turn's time is its fastest round's. Needs BPF privileges.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { resolveScope } from '../../services/loader/adapters/host.ts';
import { readObject } from '../../services/loader/object/object.ts';
import { want } from '../../services/loader/load/wanted.ts';
import { BpfObject } from '../../services/shared/adapters/libbpf-object.ts';
import { possibleCpus } from '../../services/shared/adapters/libbpf.ts';
import { constantsMap, controlMap } from '../../services/shared/contract/table-maps.ts';
import { generate } from '../kernel/generator.ts';
import { builtProbe, checkout } from '../kernel/probe.ts';
import type { Figure } from './figure.ts';

export interface KernelCostOptions {
  /** Turns of each program for each number of keys. */
  readonly turns?: number;
  readonly keys?: readonly number[];
}

const keysInUse = [10, 300, 4000] as const;
const aims: Readonly<Record<number, number>> = { 10: 12, 300: 12 };
/** Long enough for a clock read to vanish, short enough that some rounds are free of interrupts and other tasks. */
const callsPerRound = 4000;
const roundsPerTurn = 100;

/** Loads and attaches an object for the length of `body`. */
async function withAttached<T>(load: () => BpfObject, program: string, body: () => Promise<T>): Promise<T> {
  const object = load();
  try {
    const refusal = object.attach(program);
    if (refusal) throw refusal.error;
    return await body();
  } finally {
    object.close();
  }
}

function loadPlain(name: string, program: string): BpfObject {
  const path = join(checkout, `build/test/bench/${name}.bpf.o`);
  execFileSync(join(checkout, 'deploy/build-bpf.sh'), [join(import.meta.dirname, `kernel/${name}.bpf.c`), path]);
  return loaded(BpfObject.open(readFileSync(path), name, [program]));
}

function loadSyscalls(): BpfObject {
  const bytes = builtProbe('syscalls');
  const wanted = want('syscalls', readObject(bytes), possibleCpus(), resolveScope(undefined), new Map());
  const object = BpfObject.open(
    bytes,
    'syscalls',
    wanted.programs.map((p) => p.name),
  );
  for (const [map, rows] of wanted.mapRows) object.setRows(map, rows);
  object.setInitialValue(constantsMap, wanted.constants);
  object.setInitialValue(controlMap, wanted.control);
  return loaded(object);
}

function loaded(object: BpfObject): BpfObject {
  const refusal = object.load();
  if (refusal) throw refusal.error;
  return object;
}

const programs = [
  { name: 'empty', load: () => loadPlain('empty', 'on_empty'), program: 'on_empty' },
  { name: 'leanest', load: () => loadPlain('leanest', 'on_leanest'), program: 'on_leanest' },
  { name: 'syscalls', load: loadSyscalls, program: 'on_sys_enter' },
] as const;

/** ns per call, of the fastest round. */
async function turn(keys: number): Promise<number> {
  const cpu = cpus().length - 1;
  const { ns } = await generate([
    '--pin',
    cpu,
    '--call',
    'number',
    '--keys',
    keys,
    '--calls',
    callsPerRound,
    '--rounds',
    roundsPerTurn,
  ]);
  // The first round inserts the keys.
  return Math.min(...ns.slice(1)) / callsPerRound;
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]): number => {
  const s = sorted(values);
  return (s[(s.length - 1) >> 1]! + s[s.length >> 1]!) / 2;
};

/** Figures syscalls_net_ns_KEYS: median over the turns, least over least; the empty program's own time with them. */
export async function kernelCost(options: KernelCostOptions = {}): Promise<Figure[]> {
  const times = new Map<string, number[]>();
  const all = options.keys ?? keysInUse;
  for (let i = 0; i < (options.turns ?? 9); i++) {
    for (const keys of all) {
      for (const { name, load, program } of programs) {
        const ns = await withAttached(load, program, () => turn(keys));
        times.set(`${name} ${keys}`, [...(times.get(`${name} ${keys}`) ?? []), ns]);
      }
    }
  }
  return all.flatMap((keys): Figure[] => {
    const [empty, leanest, ours] = programs.map(({ name }) => times.get(`${name} ${keys}`)!) as [
      number[],
      number[],
      number[],
    ];
    const net = (of: readonly number[]): number => median(of.map((ns, i) => ns - empty[i]!));
    const aim = aims[keys];
    return [
      { figure: `empty_hook_call_ns_${keys}`, unit: 'ns', ours: median(empty), min: Math.min(...empty) },
      {
        figure: `syscalls_net_ns_${keys}`,
        unit: 'ns',
        ours: net(ours),
        min: Math.min(...ours) - Math.min(...empty),
        peer: net(leanest),
        peerName: 'shared hash by syscall alone',
        ...(aim === undefined ? {} : { aim }),
      },
    ];
  });
}
