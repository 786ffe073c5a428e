/** Techniques that answer without a row for each value: filter, heavy hitters, distinct counts. */
import { estimateDistinct } from '../../../services/shared/algebra/distinct.ts';
import { bitsSet, falsePositiveRate } from '../../../services/shared/algebra/filter.ts';
import { firstNumber, form, own, sum, type Loaded } from './form.ts';
import { sideBySide, type Asked, type Technique } from './technique.ts';

const values = 30_000;
const filterWords = 4096;

/** Of two calls of each value one is the first: what is announced more often had been forgotten. */
const announced = (firsts: number, note?: string): { found: number; note: string } => ({
  found: 2 * values - Math.max(0, firsts - values),
  note: [firsts < values ? `${values - firsts} taken for known ones` : '', note ?? ''].filter(Boolean).join('; '),
});

/** As a percentage: what part of new values the filter would take for known ones by now. */
function rateNow(l: Loaded): string {
  const words = new Uint32Array(
    l.words('firsts_bits', filterWords).flatMap((w) => [Number(w & 0xffffffffn), Number(w >> 32n)]),
  );
  return (falsePositiveRate(bitsSet(words), filterWords * 64) * 100).toPrecision(2);
}

const filters: readonly Asked[] = [
  {
    form: own('bit array, seven hashes in line', 'on_first', [], 'firsts_bits'),
    ask: (l) =>
      announced(
        l.rows('firsts').filter((r, i) => i > 0 && r.value > 0n).length,
        `takes ${rateNow(l)} % of new values for known ones by now, and says so with each answer`,
      ),
  },
  {
    form: form('the kernel’s Bloom map', 'on_bloom', 'bloom'),
    ask: (l) => announced(Number(l.words('words', 8)[4]), 'can be neither read nor joined'),
  },
  { form: form('hash as a set', 'on_seen', 'seen'), ask: (l) => announced(Number(l.words('words', 8)[4])) },
];
export const bloomFilters: Technique = {
  id: 'bloom_filters',
  name: 'Bloom filters',
  task: 'Which of 30,000 different calls, each made twice, are new? All are built for 22,000. Lost is a known one that is announced as new; the memory is the filter’s alone.',
  text: 'Past what it was built for a hash takes nothing more: each later value stays new for ever. A filter states how much it no longer tells apart. Ours is memory that a reader maps and that a fleet joins by OR.',
  forms: filters.map((f) => f.form),
  measure: (turns) => sideBySide(filters, { threads: 1, keys: values, calls: 2 * values, timedKeys: 4000 }, turns),
};

const heavyKeys = 100_000;
const heavyCalls = 300_000;
const weigh = (number: number): number => (number % 1000 ? 1 : 10_000);
const weights = Array.from({ length: heavyKeys }, (_, i) => weigh(firstNumber + i) * (heavyCalls / heavyKeys));

const heavies: readonly Asked[] = [
  {
    form: own('rows for the large, shared cells for the rest', 'on_heavy', ['weights']),
    ask: (l) => {
      const rows = l.rows('weights');
      const shared = rows.slice(1).filter((r) => r.key[1]! & 1n);
      const most = shared.reduce((a, r) => (a > r.value ? a : r.value), 0n);
      const large = rows.length - 1 - shared.length;
      return {
        found: sum(rows.map((r) => r.value)),
        note: `${large} numbers have rows; no other has more than ${most}`,
      };
    },
  },
  {
    form: form('LRU hash', 'on_evicting', 'evicting'),
    ask: (l) => ({ found: sum(l.hash('evicting').values()), note: 'nothing says what it evicted' }),
  },
];
export const heavyHitters: Technique = {
  id: 'heavy_hitters',
  name: 'Sketches: heavy hitters',
  task: 'Weight by number: 100,000 numbers three times each, of which each thousandth weighs 10,000. Tables of equal bytes.',
  text: 'An LRU map forgets what it evicts, large ones among it, and in silence. The sketch has every event in some row, and a bound for each number.',
  forms: heavies.map((h) => h.form),
  measure: (turns) =>
    sideBySide(
      heavies,
      { threads: 1, keys: heavyKeys, calls: heavyCalls, of: weights.reduce((a, b) => a + b), timedKeys: 4000 },
      turns,
    ),
};

const kinds = 100_000;
const distincts: readonly Asked[] = [
  {
    form: own('registers and ranks as rows', 'on_distinct', ['kinds']),
    ask: (l) => {
      const rows = l.rows('kinds');
      const { value, bound } = estimateDistinct(rows.slice(1).map((r) => Number(r.key[0])));
      const holds = Math.abs(value - kinds) <= bound ? '' : ', which is wrong';
      return { found: sum(rows.map((r) => r.value)), note: `says ${value} ± ${bound}${holds}` };
    },
  },
  {
    form: form('hash as a set', 'on_kinds', 'kinds'),
    ask: (l) => {
      const { size } = l.hash('kinds');
      return { found: size, note: `says ${size}` };
    },
  },
];
export const distinctCounts: Technique = {
  id: 'distinct_counts',
  name: 'Sketches: distinct counts',
  task: 'How many of 100,000 calls are different? All are. Tables for 16,384 keys. Lost are observations; of a set, values that it did not take.',
  text: 'A set is exact until it is full, and then wrong without a word. The sketch takes any number of values in the same rows, and those of two hosts add up to the sketch of both.',
  forms: distincts.map((d) => d.form),
  measure: (turns) => sideBySide(distincts, { threads: 1, keys: kinds, calls: kinds, timedKeys: 4000 }, turns),
};
