/**
 * What a program adds to a system call: ns per event over an empty program on the same kind of hook, with 10, 300 and
 * 4,000 keys in rotation. Contenders take turns on one pinned CPU, many times; a turn's time is its fastest round's.
 * Needs BPF privileges.
 */
import { cpus } from 'node:os';
import { generate } from '../kernel/generator.ts';
import { median, plain, probe, type Contender } from './contender.ts';
import type { Figure } from './figure.ts';

export const keysInUse = [10, 300, 4000] as const;
const aims: Readonly<Record<number, number>> = { 10: 12, 300: 12 };
/** Long enough for a clock read to vanish, short enough that some rounds are free of interrupts and other tasks. */
const callsPerRound = 4000;
const roundsPerTurn = 100;

/** A program, and the empty one on its kind of hook. */
export interface Measured {
  readonly contender: Contender;
  readonly empty: Contender;
}

export interface Net {
  /** Over the turns, in ns: median of the differences, and least less least. */
  readonly net: number;
  readonly min: number;
  /** The empty program's call, median and least. */
  readonly empty: number;
  readonly emptyMin: number;
}

export const bareHook = plain('empty', 'on_empty');
export const leanest: Measured = { contender: plain('leanest', 'on_leanest'), empty: bareHook };
export const syscalls: Measured = { contender: probe('syscalls'), empty: bareHook };

/** ns per call, of the fastest round. */
async function turn(keys: number): Promise<number> {
  const shape = ['--pin', cpus().length - 1, '--call', 'number', '--keys', keys];
  const { ns } = await generate([...shape, '--calls', callsPerRound, '--rounds', roundsPerTurn]);
  // The first round inserts the keys.
  return Math.min(...ns.slice(1)) / callsPerRound;
}

/** By contender's name and number of keys. */
export async function callCosts(
  measured: readonly Measured[],
  turns: number,
): Promise<(contender: string, keys: number) => Net> {
  const times = new Map<string, number[]>();
  const all = new Map(measured.flatMap((m) => [m.empty, m.contender]).map((c) => [c.name, c]));
  for (let i = 0; i < turns; i++) {
    for (const contender of all.values()) {
      const attached = await contender.attach();
      try {
        for (const keys of keysInUse) {
          const id = `${contender.name} ${keys}`;
          times.set(id, [...(times.get(id) ?? []), await turn(keys)]);
        }
      } finally {
        await attached.detach();
      }
    }
  }
  return (name, keys) => {
    const { empty } = measured.find((m) => m.contender.name === name)!;
    const [own, base] = [times.get(`${name} ${keys}`)!, times.get(`${empty.name} ${keys}`)!];
    return {
      net: median(own.map((ns, i) => ns - base[i]!)),
      min: Math.min(...own) - Math.min(...base),
      empty: median(base),
      emptyMin: Math.min(...base),
    };
  };
}

/** Figures syscalls_net_ns_KEYS beside the leanest common program; the empty program's own time with them. */
export async function kernelCost(turns: number): Promise<Figure[]> {
  const costs = await callCosts([syscalls, leanest], turns);
  return keysInUse.flatMap((keys): Figure[] => {
    const ours = costs('syscalls', keys);
    const aim = aims[keys];
    return [
      { figure: `empty_hook_call_ns_${keys}`, unit: 'ns', ours: ours.empty, min: ours.emptyMin },
      {
        figure: `syscalls_net_ns_${keys}`,
        unit: 'ns',
        ours: ours.net,
        min: ours.min,
        peer: costs(leanest.contender.name, keys).net,
        peerName: 'shared hash by syscall alone',
        ...(aim === undefined ? {} : { aim }),
      },
    ];
  });
}
