/** Batching: how often and how dearly counts are read, and what a message for each event costs and loses. */
import { possibleCpus, readChunks, lookup } from '../../../services/shared/adapters/libbpf.ts';
import { mapShared } from '../../../services/shared/adapters/libc.ts';
import { mapName } from '../../../services/shared/contract/table-maps.ts';
import { drive, firstNumber, Loaded, median, netNs, type Form } from './form.ts';
import { pinned, unpinned, type TechniqueRow, type Way } from './row.ts';

const keys = 4000;
const table: Form = { name: 'mapped cells', ours: true, program: 'on_table', tables: ['calls'], maps: [] };
const perCpu: Form = { name: 'batch look-ups', ours: false, program: 'on_per_cpu', maps: ['per_cpu'] };
const ring: Form = {
  name: 'a record for each event in a ring buffer of 1 MiB',
  ours: false,
  program: 'on_ring',
  maps: ['ring'],
};
const tens: Form = {
  name: 'ten points of time in one row',
  ours: true,
  program: 'on_tens',
  tables: [],
  maps: ['tens'],
};

/** ns a row of a full read, median of some. */
function nsPerRow(read: () => number): number {
  const times: number[] = [];
  for (let i = 0; i < 15; i++) {
    const start = process.hrtime.bigint();
    const rows = read();
    times.push(Number(process.hrtime.bigint() - start) / rows);
  }
  return median(times);
}

const inWords = (ns: number): string => `${ns < 10 ? ns.toFixed(1) : ns.toFixed(0)} ns a row to read`;

export async function batchingOut(turns: number): Promise<TechniqueRow> {
  const calls = 400_000;
  const ns = await netNs([table, perCpu, ring], keys, turns);
  const ways: Way[] = [];
  const own = Loaded.load(table);
  await drive(1, keys, calls);
  const { rows } = own.tables[0]!;
  const cells = mapShared(
    own.object.mapFd(mapName('calls', 'cells', 0)),
    possibleCpus() * (rows + 1) * 8,
    false,
    'cells',
  );
  const copy = new BigUint64Array(keys + 1);
  const mapped = nsPerRow(() => {
    copy.fill(0n);
    for (let cpu = 0; cpu < possibleCpus(); cpu++) {
      const at = cpu * (rows + 1);
      const run = cells.words.slice(at, at + keys + 1);
      for (let i = 0; i <= keys; i++) copy[i]! += run[i]!;
    }
    return keys;
  });
  cells.unmap();
  const found = Number(own.rows('calls').reduce((n, r) => n + r.value, 0n));
  ways.push({
    ...{ name: table.name, ours: true, ns: ns.get(table.name), memoryBytes: own.memoryBytes(), recovery: pinned },
    ...{ lost: calls - found, of: calls, wrong: inWords(mapped) },
  });
  own.close();
  const hash = Loaded.load(perCpu);
  await drive(1, keys, calls);
  const fd = hash.object.mapFd('per_cpu');
  const valueBytes = possibleCpus() * 8;
  const batch = nsPerRow(() => {
    let read = 0;
    for (const { count, values } of readChunks(fd, 8, valueBytes, 16384, 'per_cpu')) {
      for (let i = 0; i < count; i++)
        for (let c = 0; c < possibleCpus(); c++) copy[0]! += values.readBigUInt64LE(i * valueBytes + c * 8);
      read += count;
    }
    return read;
  });
  const key = Buffer.alloc(8);
  const value = Buffer.alloc(valueBytes);
  const single = nsPerRow(() => {
    for (let i = 0; i < keys; i++) {
      key.writeBigUInt64LE(BigInt(firstNumber + i));
      lookup(fd, key, value, 'per_cpu');
    }
    return keys;
  });
  const there = Number([...hash.hash('per_cpu', true).values()].reduce((n, v) => n + v, 0n));
  const base = { ours: false, ns: ns.get(perCpu.name), memoryBytes: hash.memoryBytes(), recovery: unpinned };
  ways.push({ ...base, name: perCpu.name, lost: calls - there, of: calls, wrong: inWords(batch) });
  ways.push({ ...base, name: 'a look-up for each key', lost: calls - there, of: calls, wrong: inWords(single) });
  hash.close();
  const events = Loaded.load(ring);
  await drive(1, keys, calls);
  const kept = Number(events.words('words', 8)[2]);
  ways.push({
    ...{ name: ring.name, ours: false, ns: ns.get(ring.name), memoryBytes: events.memoryBytes(), recovery: unpinned },
    ...{ lost: calls - kept, of: calls, wrong: 'a reader that pauses loses what does not fit' },
  });
  events.close();
  return {
    technique: 'batching, out of the kernel',
    id: 'batching_out',
    task: `${calls.toLocaleString('en')} calls of ${keys.toLocaleString('en')} numbers while nobody reads, then one read of all rows from this process`,
    ways,
    text: 'What is counted in the kernel waits for its reader as long as it takes; what is sent as records is lost as soon as the reader pauses. Mapped cells are read without a system call; keys one by one cost a call each.',
  };
}

export async function batchingIn(turns: number): Promise<TechniqueRow> {
  const single: Form = { name: 'one number, read for each point', ours: false, program: 'on_shared', maps: ['shared'] };
  const rows = 300;
  const calls = 300_000;
  const ns = await netNs([tens, single], rows, turns);
  const own = Loaded.load(tens);
  await drive(1, rows, calls);
  const cells = mapShared(own.object.mapFd('tens'), 4096 * 80, false, 'tens');
  const points = new BigUint64Array(rows * 10);
  const at = (firstNumber & 4095) * 10;
  const once = nsPerRow(() => {
    points.set(cells.words.subarray(at, at + rows * 10));
    return rows;
  });
  const found = Number(points.reduce((n, v) => n + v, 0n));
  cells.unmap();
  const memoryBytes = own.memoryBytes();
  own.close();
  const naive = Loaded.load(single);
  await drive(1, rows, calls);
  const fd = naive.object.mapFd('shared');
  const tenTimes = nsPerRow(() => {
    for (let read = 0; read < 10; read++)
      for (const { count, values } of readChunks(fd, 8, 8, 16384, 'shared'))
        for (let i = 0; i < count; i++) points[i] = values.readBigUInt64LE(i * 8);
    return rows;
  });
  const there = Number([...naive.hash('shared').values()].reduce((n, v) => n + v, 0n));
  const naiveBytes = naive.memoryBytes();
  naive.close();
  return {
    technique: 'batching, in the kernel',
    id: 'batching_in',
    task: `ten points of time of ${rows} rows: what reading them all costs`,
    ways: [
      {
        ...{ name: tens.name, ours: true, ns: ns.get(tens.name), memoryBytes, recovery: pinned },
        ...{ lost: calls - found, of: calls, wrong: `one read, ${inWords(once)}` },
      },
      {
        ...{ name: single.name, ours: false, ns: ns.get(single.name), memoryBytes: naiveBytes, recovery: unpinned },
        ...{ lost: calls - there, of: calls, wrong: `ten reads, ${inWords(tenTimes)}` },
      },
    ],
    text: 'A program that puts each event into the cell of its tenth of the interval spares nine of ten reads; a reader that comes late still finds the points apart.',
  };
}
