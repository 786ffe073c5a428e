/** Rows of the tables that are sketches, and of stacks: what QueryDistinct, Contains and QueryStacks are asked about. */
import { hashOfLabels } from '../../services/query/answer/key-of.ts';
import { registerOf } from '../../services/shared/algebra/distinct.ts';
import { bitsOf } from '../../services/shared/algebra/filter.ts';
import { stir } from '../../services/shared/algebra/sketch-hash.ts';
import type { TableSchema } from '../../services/shared/contract/lineage.ts';
import { syscalls, type CountedRow, type HostFill } from './checkpoints.ts';

export const sizes = { hints: 64, help: '' };
export const label = (name: string, meaning: string, offset: number, size = 8) => ({ name, meaning, offset, size });

export const binaries: TableSchema = {
  ...sizes,
  name: 'process_binaries',
  kind: 'distinct',
  unit: 'binaries',
  rows: 16384,
  keyWords: 3,
  valueCount: 1,
  labels: [label('comm', 'comm', 0, 16), label('reg', 'register', 16)],
};
export const stacks: TableSchema = {
  ...syscalls,
  name: 'cpu_profile',
  unit: 'ns',
  help: 'time on CPUs, sampled, by stack',
  labels: [label('comm', 'comm', 0), label('stack', 'stack', 8)],
};
export const firsts: TableSchema = {
  ...sizes,
  name: 'first_execs',
  kind: 'counter',
  unit: 'programs',
  rows: 1000,
  keyWords: 12,
  valueCount: 1,
  labels: [label('binary', 'text', 0, 96)],
};
export const filter: TableSchema = {
  ...sizes,
  name: 'first_execs_filter',
  kind: 'filter',
  unit: 'bits',
  rows: 256,
  keyWords: 1,
  valueCount: 2,
  labels: [label('word', 'word', 0)],
};

export const pairs = (comm: string, values: readonly number[]): CountedRow[] => {
  const counts = new Map<number, bigint>();
  for (const v of values) {
    const pair = registerOf(stir(BigInt(v) * 0x9e3779b97f4a7c15n));
    counts.set(pair, (counts.get(pair) ?? 0n) + 1n);
  }
  return [...counts].map(([pair, n]) => ({ labels: [comm, String(pair)], values: [n] }));
};
export const firstsOn = (host: string, seen: readonly string[], listed = seen): HostFill => {
  const words = new Map<number, bigint>();
  for (const binary of seen)
    for (const bit of bitsOf(hashOfLabels(firsts, { binary }), 256 * 64))
      words.set(bit >> 6, (words.get(bit >> 6) ?? 0n) | (1n << BigInt(bit & 63)));
  return {
    host,
    tables: [
      { schema: firsts, rows: listed.map((binary) => ({ labels: [binary], values: [1n] })) },
      {
        schema: filter,
        rows: [...words].map(([word, bits]) => ({
          labels: [String(word)],
          values: [BigInt(bits.toString(2).replaceAll('0', '').length), bits],
        })),
      },
    ],
  };
};
