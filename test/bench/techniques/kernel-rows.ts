/** The techniques that work in the kernel, each driven with known calls by two threads on two CPUs. */
import { estimateDistinct } from '../../../services/shared/algebra/distinct.ts';
import { bitsSet, falsePositiveRate } from '../../../services/shared/algebra/filter.ts';
import { drive, firstNumber, Loaded, netNs, type Form } from './form.ts';
import { pinned, unpinned, type TechniqueRow, type Way } from './row.ts';

const sum = (values: Iterable<bigint>): number => Number([...values].reduce((a, b) => a + b, 0n));
const naive = (name: string, program: string, ...maps: string[]): Form => ({ name, ours: false, program, maps });
const ours = (name: string, program: string, tables: string[], ...maps: string[]): Form => ({
  name,
  ours: true,
  program,
  tables,
  maps,
});

/** Loads, drives, and asks what is there. */
async function counted<T>(form: Form, threads: number, keys: number, calls: number, ask: (l: Loaded) => T): Promise<T> {
  const loaded = Loaded.load(form);
  try {
    await drive(threads, keys, calls);
    return ask(loaded);
  } finally {
    loaded.close();
  }
}

const table: Form = ours('dense table, with command and ledger', 'on_table', ['calls']);

export async function hashTables(turns: number): Promise<TechniqueRow> {
  const keys = 300;
  const calls = 600_000;
  const forms: readonly (readonly [Form, (l: Loaded) => number])[] = [
    [table, (l) => sum(l.rows('calls').map((r) => r.value))],
    [naive('look-up + update, as printed', 'on_printed', 'printed'), (l) => sum(l.hash('printed').values())],
    [naive('look-up + update, made to count', 'on_updated', 'updated'), (l) => sum(l.hash('updated').values())],
    [naive('shared hash, atomic addition', 'on_shared', 'shared'), (l) => sum(l.hash('shared').values())],
    [naive('per-CPU hash', 'on_per_cpu', 'per_cpu'), (l) => sum(l.hash('per_cpu', true).values())],
    [naive('per-CPU hash in a map of maps', 'on_map_in_map', 'inner'), (l) => sum(l.hash('inner', true).values())],
  ];
  const ns = await netNs(
    forms.map(([f]) => f),
    keys,
    turns,
  );
  const ways: Way[] = [];
  for (const [form, count] of forms) {
    const [found, memoryBytes] = await counted(form, 2, keys, calls, (l) => [count(l), l.memoryBytes()] as const);
    ways.push({
      ...{ name: form.name, ours: form.ours, ns: ns.get(form.name), memoryBytes },
      ...{ lost: 2 * calls - found, of: 2 * calls, recovery: form.ours ? pinned : unpinned },
    });
  }
  return {
    technique: 'hash tables',
    id: 'hash_tables',
    task: `calls by number, ${keys} in rotation; all tables for 16,384 keys, ours twice (two slots)`,
    ways,
    text: 'What is printed in articles writes back what it found: it counts nothing. Made to count, it loses what another CPU wrote between its look-up and its update. A per-CPU hash loses nothing and names no command; ours does both, keeps a ledger, and finds its row without hashing.',
  };
}

export async function bloomFilters(turns: number): Promise<TechniqueRow> {
  const values = 30_000;
  const filter = ours('bit array, seven hashes in line', 'on_first', [], 'firsts_bits');
  const forms: readonly (readonly [Form, (l: Loaded) => { firsts: number; wrong?: string }])[] = [
    [
      filter,
      (l) => {
        const words = new Uint32Array(4096 * 2);
        for (const { key, bits } of bitsOfFilter(l)) words.set(bits, key * 2);
        const rate = falsePositiveRate(bitsSet(words), words.length * 32);
        return {
          firsts: l.rows('firsts').filter((r, i) => i > 0 && r.value > 0n).length,
          wrong: `a new value is taken for a known one with ${(rate * 100).toPrecision(2)} % by now: stated with every answer`,
        };
      },
    ],
    [
      naive('the kernel’s Bloom map', 'on_bloom', 'bloom'),
      (l) => ({ firsts: Number(l.words('words', 8)[4]), wrong: 'cannot be read or joined' }),
    ],
    [naive('hash as a set', 'on_seen', 'seen'), (l) => ({ firsts: Number(l.words('words', 8)[4]) })],
  ];
  const ns = await netNs(
    forms.map(([f]) => f),
    4000,
    turns,
  );
  const ways: Way[] = [];
  for (const [form, ask] of forms) {
    const found = await counted(form, 1, values, 2 * values, (l) => ({ ...ask(l), memoryBytes: l.memoryBytes() }));
    const again = Math.max(0, found.firsts - values);
    const missed = Math.max(0, values - found.firsts);
    ways.push({
      ...{ name: form.name, ours: form.ours, ns: ns.get(form.name), memoryBytes: found.memoryBytes },
      // Forgotten values come as new ones again: counted wrongly. A filter's false positives are its stated price.
      ...{ lost: again, of: 2 * values, recovery: form.ours ? pinned : unpinned },
      wrong: [missed > 0 ? `${missed} of ${values} taken for known ones` : '', found.wrong ?? '']
        .filter(Boolean)
        .join('; '),
    });
  }
  return {
    technique: 'Bloom filters',
    id: 'bloom_filters',
    task: `which of ${values.toLocaleString('en')} different calls, each made twice, are new; built for 22,000; “lost” are known ones announced as new; memory of the filter alone`,
    ways,
    text: 'Past what it was built for a hash forgets nothing and takes nothing new either: each later value is new for ever. A filter states what it no longer knows. Ours is memory that a reader maps and a fleet joins by OR; the kernel’s own has no look from outside.',
  };
}

function* bitsOfFilter(l: Loaded): Generator<{ key: number; bits: Uint32Array }> {
  const words = l.words('firsts_bits', 4096);
  for (let w = 0; w < words.length; w++)
    yield { key: w, bits: Uint32Array.of(Number(words[w]! & 0xffffffffn), Number(words[w]! >> 32n)) };
}

const weigh = (number: number): number => (number % 1000 ? 1 : 10_000);

export async function heavyHitters(turns: number): Promise<TechniqueRow> {
  const keys = 100_000;
  const calls = 300_000;
  const heavy = ours('heavy hitters: rows for the large, cells for the rest', 'on_heavy', ['weights']);
  const evicting = naive('LRU hash', 'on_evicting', 'evicting');
  const ns = await netNs([heavy, evicting], 4000, turns);
  const numbers = Array.from({ length: keys }, (_, i) => firstNumber + i);
  const truth = numbers.reduce((n, k) => n + weigh(k) * (calls / keys), 0);
  const own = await counted(heavy, 1, keys, calls, (l) => {
    const rows = l.rows('weights').slice(1);
    const shared = rows.filter((r) => r.key[1]! & 1n);
    const bounds = shared.map((r) => r.value);
    return {
      found: sum(l.rows('weights').map((r) => r.value)),
      large: rows.filter((r) => !(r.key[1]! & 1n)).length,
      most: bounds.reduce((a, b) => (a > b ? a : b), 0n),
      memoryBytes: l.memoryBytes(),
    };
  });
  const lru = await counted(evicting, 1, keys, calls, (l) => ({
    found: sum(l.hash('evicting').values()),
    memoryBytes: l.memoryBytes(),
  }));
  return {
    technique: 'sketches: heavy hitters',
    id: 'heavy_hitters',
    task: `weight by number, ${keys.toLocaleString('en')} numbers in rotation of which each thousandth weighs 10,000, three times each; tables of equal bytes`,
    ways: [
      {
        ...{ name: heavy.name, ours: true, ns: ns.get(heavy.name), memoryBytes: own.memoryBytes, recovery: pinned },
        ...{ lost: truth - own.found, of: truth },
        wrong: `${own.large} keys have rows; any key lacks at most ${own.most} (its cell), and its answer says so`,
      },
      {
        ...{
          name: evicting.name,
          ours: false,
          ns: ns.get(evicting.name),
          memoryBytes: lru.memoryBytes,
          recovery: unpinned,
        },
        ...{ lost: truth - lru.found, of: truth },
        wrong: 'what is evicted is gone, and nothing says how much',
      },
    ],
    text: 'An LRU map forgets what it evicts, large keys among it, in silence. The sketch has every event in some row, and a bound for each key.',
  };
}

export async function distinctCounts(turns: number): Promise<TechniqueRow> {
  const values = 100_000;
  const sketch = ours('registers and ranks as rows', 'on_distinct', ['kinds']);
  const set = naive('hash as a set', 'on_kinds', 'kinds');
  const ns = await netNs([sketch, set], 4000, turns);
  const own = await counted(sketch, 1, values, values, (l) => {
    const rows = l.rows('kinds');
    return {
      observed: sum(rows.map((r) => r.value)),
      estimate: estimateDistinct(rows.slice(1).map((r) => Number(r.key[0]))),
      memoryBytes: l.memoryBytes(),
    };
  });
  const naiveSet = await counted(set, 1, values, values, (l) => ({
    found: l.hash('kinds').size,
    memoryBytes: l.memoryBytes(),
  }));
  const { value, bound } = own.estimate;
  return {
    technique: 'sketches: distinct counts',
    id: 'distinct_counts',
    task: `how many of ${values.toLocaleString('en')} calls are different (all); tables for 16,384 keys; “lost” are observations, of a set the values it did not take`,
    ways: [
      {
        ...{ name: sketch.name, ours: true, ns: ns.get(sketch.name), memoryBytes: own.memoryBytes, recovery: pinned },
        ...{ lost: values - own.observed, of: values },
        wrong: `says ${value} ± ${bound}: ${Math.abs(value - values) <= bound ? 'true' : 'FALSE'}`,
      },
      {
        ...{ name: set.name, ours: false, ns: ns.get(set.name), memoryBytes: naiveSet.memoryBytes, recovery: unpinned },
        ...{ lost: values - naiveSet.found, of: values },
        wrong: `says ${naiveSet.found}`,
      },
    ],
    text: 'A set is exact until it is full, and then wrong without a word. The sketch takes any number of values in the same rows, and two hosts’ sketches add up to that of both.',
  };
}

export async function atomics(turns: number): Promise<TechniqueRow> {
  const calls = 4_000_000;
  const forms: readonly (readonly [Form, (l: Loaded) => number])[] = [
    [table, (l) => sum(l.rows('calls').map((r) => r.value))],
    [naive('one counter, `+=`', 'on_racy', 'words'), (l) => Number(l.words('words', 8)[0])],
    [naive('one counter, atomic addition', 'on_atomic', 'words'), (l) => Number(l.words('words', 8)[1])],
  ];
  const ns = await netNs(
    forms.map(([f]) => f),
    1,
    turns,
  );
  const ways: Way[] = [];
  for (const [form, count] of forms) {
    const [found, memoryBytes] = await counted(form, 2, 1, calls, (l) => [count(l), l.memoryBytes()] as const);
    ways.push({
      ...{
        name: form.ours ? 'a cell for each CPU, atomic addition' : form.name,
        ours: form.ours,
        ns: ns.get(form.name),
      },
      ...{ memoryBytes, lost: 2 * calls - found, of: 2 * calls, recovery: form.ours ? pinned : unpinned },
    });
  }
  return {
    technique: 'atomic operations',
    id: 'atomics',
    task: `one number, ${((2 * calls) / 1e6).toFixed(0)} million calls by two CPUs; ours with its key, command and ledger; ns by one CPU alone`,
    ways,
    text: 'A plain addition on a shared counter loses what falls between its load and its store. An atomic one loses nothing; on a cell of its CPU’s own nobody waits for its cache line.',
  };
}

export async function insertion(): Promise<TechniqueRow> {
  const keys = 60_000;
  const repeats = 3;
  let [lostAny, lostOurs] = [0, 0];
  const any = naive('insertion with BPF_ANY', 'on_any', 'any');
  const small = 15_000;
  for (let i = 0; i < repeats; i++) {
    lostAny += 2 * keys - (await counted(any, 2, keys, keys, (l) => sum(l.hash('any').values())));
    lostOurs += 2 * small - (await counted(table, 2, small, small, (l) => sum(l.rows('calls').map((r) => r.value))));
  }
  return {
    technique: 'checkpointing in the kernel: insertion',
    id: 'insertion',
    task: 'two CPUs meet the same fresh keys at once, each key twice',
    ways: [
      {
        name: 'BPF_NOEXIST, and the other’s row if it was first',
        ours: true,
        lost: lostOurs,
        of: 2 * small * repeats,
        recovery: pinned,
      },
      { name: any.name, ours: false, lost: lostAny, of: 2 * keys * repeats, recovery: unpinned },
    ],
    text: 'Where two CPUs both find no row, the second to insert with BPF_ANY takes away what the first had counted.',
  };
}
