/** Batching: how often and how dearly counts are read, and what a record for each event costs and loses. */
import { lookup, possibleCpus, readChunks } from '../../../services/shared/adapters/libbpf.ts';
import { median } from '../contender.ts';
import { counted, drive, firstNumber, form, netNs, own, sum, type Loaded } from './form.ts';
import { countsOf, newImage, openCounts, removeCounts } from './pinned.ts';
import { wayOf, type Technique, type Way } from './technique.ts';

const times = 15;

/** ns a row of a full read, in words: the median of some. */
function cost(read: () => number): string {
  const taken = Array.from({ length: times }, () => {
    const start = process.hrtime.bigint();
    const rows = read();
    return Number(process.hrtime.bigint() - start) / rows;
  });
  const ns = median(taken);
  return `${ns < 10 ? ns.toFixed(1) : ns.toFixed(0)} ns a row to read`;
}

/** All of a naive hash, by batch look-ups; the number of rows. */
function readAll(loaded: Loaded, map: string, words: number): number {
  let rows = 0;
  for (const { count, values } of readChunks(loaded.object.mapFd(map), 8, words * 8, 16384, map)) {
    for (let i = 0; i < count * words; i++) values.readBigUInt64LE(i * 8);
    rows += count;
  }
  return rows;
}

const keys = 4000;
const calls = 400_000;
const mapped = own('mapped cells', 'on_table', ['calls']);
const batches = form('batch look-ups', 'on_per_cpu', 'per_cpu');
const records = form('a record for each event, in a ring buffer of 1 MiB', 'on_ring', 'ring');

/** What the agent's own reading of a loaded probe finds and costs. */
async function readMapped(): Promise<{ found: number; note: string }> {
  const directory = `/sys/fs/bpf/muster-bench-read-${process.pid}`;
  try {
    const lineage = openCounts(directory);
    await drive(1, keys, calls);
    const image = newImage();
    const note = cost(() => {
      lineage.readTable(0, 0, image);
      return image.rowsIssued;
    });
    const found = countsOf(lineage);
    lineage.close();
    return { found, note };
  } finally {
    removeCounts(directory);
  }
}

function readHash(l: Loaded): { found: number; batch: string; each: string; memoryBytes: number } {
  const fd = l.object.mapFd('per_cpu');
  const key = Buffer.alloc(8);
  const value = Buffer.alloc(possibleCpus() * 8);
  const each = cost(() => {
    for (let i = 0; i < keys; i++) {
      key.writeBigUInt64LE(BigInt(firstNumber + i));
      lookup(fd, key, value, 'per_cpu');
    }
    return keys;
  });
  return {
    ...{ each, batch: cost(() => readAll(l, 'per_cpu', possibleCpus())) },
    ...{ found: sum(l.hash('per_cpu', true).values()), memoryBytes: l.memoryBytes() },
  };
}

export const batchingOut: Technique = {
  id: 'batching_out',
  name: 'Batching, out of the kernel',
  task: '400,000 calls of 4,000 numbers while nobody reads, then all rows are read from this process.',
  text: 'What is counted in the kernel waits for its reader; what is sent as records is lost once the reader pauses for longer than the buffer lasts. Mapped cells are read without a system call; keys one by one cost a call each, here by way of a foreign-function interface.',
  forms: [mapped, batches, records],
  async measure(turns): Promise<Way[]> {
    const ns = await netNs([mapped, batches, records], keys, turns);
    const ours = await readMapped();
    const memoryBytes = await counted(mapped, 1, 1, 1, (l) => l.memoryBytes());
    const hash = await counted(batches, 1, keys, calls, readHash);
    const ring = await counted(records, 1, keys, calls, (l) => ({
      ...{ found: Number(l.words('words', 8)[2]), memoryBytes: l.memoryBytes() },
    }));
    const ofHash = { ns: ns.get(batches.name), of: calls, found: hash.found, memoryBytes: hash.memoryBytes };
    return [
      wayOf(mapped, { ...ours, of: calls, ns: ns.get(mapped.name), memoryBytes }),
      wayOf(batches, { ...ofHash, note: hash.batch }),
      { ...wayOf(batches, { ...ofHash, note: hash.each }), name: 'a look-up for each key' },
      wayOf(records, { ...ring, of: calls, ns: ns.get(records.name) }),
    ];
  },
};

const rows = 300;
const pointCalls = 300_000;
const points = own('a row for each tenth of the interval, read once', 'on_points', ['points']);
const printed = form('ten cells, each raised at each event, as printed', 'on_batch', 'batches');
const single = form('one number, read at each tenth', 'on_shared', 'shared');
const tenTimes = Array.from({ length: 10 });

export const batchingIn: Technique = {
  id: 'batching_in',
  name: 'Batching, in the kernel',
  task: '300,000 calls of 300 numbers by two CPUs, to be told by tenth of a second; a row to read is all ten points of a number. Ours is read with its keys, as tests read a table; the agent reads as in the next section.',
  text: 'The printed form raises all ten cells at each event, and counts each event ten times. With the tenth in the key, one read an interval yields ten points of time, and a late reader still finds them apart.',
  forms: [points, printed, single],
  async measure(turns): Promise<Way[]> {
    const ns = await netNs([points, printed, single], rows, turns);
    const perThread = pointCalls / 2;
    const ours = await counted(points, 2, rows, perThread, (l) => ({
      found: sum(l.rows('points').map((r) => r.value)),
      note: cost(() => (l.rows('points'), rows)),
      memoryBytes: l.memoryBytes(),
    }));
    const ten = await counted(printed, 2, rows, perThread, (l) => ({
      ...{ found: sum(l.words('batches', 4096 * 10)), memoryBytes: l.memoryBytes() },
    }));
    const one = await counted(single, 2, rows, perThread, (l) => ({
      found: sum(l.hash('shared').values()),
      note: cost(() => (tenTimes.forEach(() => readAll(l, 'shared', 1)), rows)),
      memoryBytes: l.memoryBytes(),
    }));
    return [
      wayOf(points, { ...ours, of: pointCalls, ns: ns.get(points.name) }),
      wayOf(printed, { ...ten, of: pointCalls, ns: ns.get(printed.name) }),
      wayOf(single, { ...one, of: pointCalls, ns: ns.get(single.name) }),
    ];
  },
};
