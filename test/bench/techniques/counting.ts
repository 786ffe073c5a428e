/** Techniques of counting by key: tables, atomic additions, insertion. Two threads on two CPUs make the calls. */
import { form, own, sum } from './form.ts';
import { sideBySide, type Asked, type Technique } from './technique.ts';

const table: Asked = {
  form: own('dense table, by number and command, with ledger', 'on_table', ['calls']),
  ask: (l) => ({ found: sum(l.rows('calls').map((r) => r.value)) }),
};
/** A naive form whose counts are the values of its map. */
const hash = (name: string, program: string, map: string, perCpu = false): Asked => ({
  form: form(name, program, map),
  ask: (l) => ({ found: sum(l.hash(map, perCpu).values()) }),
});
/** One whose count is a word. */
const word = (name: string, program: string, at: number): Asked => ({
  form: form(name, program, 'words'),
  ask: (l) => ({ found: Number(l.words('words', 8)[at]) }),
});
const named = (asked: Asked, name: string): Asked => ({ ...asked, form: { ...asked.form, name } });

const tables = [
  table,
  hash('look-up + update, as printed', 'on_printed', 'printed'),
  hash('look-up + update, made to count', 'on_updated', 'updated'),
  hash('shared hash, atomic addition', 'on_shared', 'shared'),
  hash('per-CPU hash', 'on_per_cpu', 'per_cpu', true),
  hash('per-CPU hash in a map of maps', 'on_map_in_map', 'inner', true),
];
export const hashTables: Technique = {
  id: 'hash_tables',
  name: 'Hash tables',
  task: '1,200,000 calls by two CPUs, of 300 numbers in rotation. Tables for 16,384 keys; ours twice, for it has two slots, and with names.',
  text: 'The form that articles print writes back what it found: it counts nothing. Made to count, it loses what another CPU wrote between its look-up and its update. A per-CPU hash loses nothing and knows no command; ours knows it, keeps a ledger, and finds its row by a hint, without the kernel’s hashing.',
  forms: tables.map((t) => t.form),
  measure: (turns) => sideBySide(tables, { threads: 2, keys: 300, calls: 600_000, timedKeys: 300 }, turns),
};

const additions = [
  named(table, 'a cell for each CPU, atomic addition (the dense table)'),
  hash('look-up + update, printed as “atomic increment”', 'on_updated', 'updated'),
  word('one counter, `+=`', 'on_racy', 0),
  word('one counter, atomic addition', 'on_atomic', 1),
];
export const atomics: Technique = {
  id: 'atomics',
  name: 'Atomic operations',
  task: '4,000,000 calls of one number by two CPUs; time by one CPU alone. Ours with its key, command and ledger.',
  text: 'What is read, raised and written back in three steps loses what falls between them, whatever it is called. An atomic addition loses nothing; in a cell of its CPU’s own nobody waits for its cache line.',
  forms: additions.map((a) => a.form),
  measure: (turns) => sideBySide(additions, { threads: 2, keys: 1, calls: 2_000_000, timedKeys: 1 }, turns),
};

const insertions = [
  named(table, 'BPF_NOEXIST, and the row of the one that was first'),
  hash('BPF_NOEXIST of the key itself, as printed', 'on_checkpoint', 'printed'),
  hash('look-up, then BPF_ANY', 'on_any', 'any'),
];
export const insertion: Technique = {
  id: 'insertion',
  name: 'Checkpointing in the kernel: insertion',
  task: 'Two CPUs meet 15,000 fresh numbers at once, each number twice.',
  text: 'The printed form keeps a number that is no count: its sum is beside the point. Where two CPUs both find no row, the second to insert with BPF_ANY takes away what the first had counted; how often, chance decides.',
  forms: insertions.map((i) => i.form),
  measure: (turns) => sideBySide(insertions, { threads: 2, keys: 15_000, calls: 15_000, timedKeys: 10_000 }, turns),
};
