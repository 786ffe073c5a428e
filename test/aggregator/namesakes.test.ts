/** Two machines under one host name, and hosts whose clocks are far off. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Bench, counterTable, epochMs, hostRecord, ModelLineage, tells, windowTotals } from './fixtures.ts';

const at = (s: number): number => epochMs + s * 1000;

/** A machine speaks each second of the bus's time; its own boot time is another. */
class Machine {
  readonly kernel: ModelLineage;

  constructor(
    boot: number,
    private readonly bootedS: number,
  ) {
    this.kernel = new ModelLineage({ uuid: boot, boot, createdS: bootedS });
  }

  speak(bench: Bench, s: number, n = 1): void {
    this.kernel.count('a', n);
    bench.batch(this.kernel.message(s - this.bootedS + 1, wallAt(s)), at(s));
  }
}
const wallAt = (s: number): { readWallNs: bigint } => ({ readWallNs: BigInt(at(s)) * 1_000_000n });

const states = (bench: Bench): string[] => hostRecord(bench.blobs).lineages.map((l) => l.state);

function begin(): { first: Machine; second: Machine; bench: Bench } {
  const first = new Machine(1, 0);
  return { first, second: new Machine(2, 10), bench: new Bench(first.kernel.partition) };
}

test('of two machines that both go on speaking, the one that came later is set aside, its counts taken back', () => {
  const { first, second, bench } = begin();
  for (let s = 1; s <= 10; s++) first.speak(bench, s);
  for (let s = 11; s <= 30; s++) {
    first.speak(bench, s);
    second.speak(bench, s, 100);
  }
  bench.commit();
  assert.deepEqual(states(bench), ['live', 'namesake']);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 30n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
  const record = hostRecord(bench.blobs);
  assert.deepEqual(record.unknown, [], 'it was no reboot');
  assert.equal(record.bootId.toString('hex'), '01'.repeat(16));
  assert.equal(
    record.lineages[1]!.ledgers.reduce((sum, l) => sum + l.quarantined, 0n),
    2000n,
  );
  assert.equal(bench.effects.filter((e) => e.kind === 'alarm').length, 1);
});

test('what the one set aside had sealed before the proof is taken back as well; after a reboot it is folded soon', () => {
  const { first, second, bench } = begin();
  const seal = (machine: Machine, on: Bench): void => {
    machine.kernel.count('a', 100);
    on.batch(machine.kernel.message(3, { ...wallAt(12), sealed: true }), at(12));
    machine.kernel.seal();
  };
  for (let s = 1; s <= 11; s++) first.speak(bench, s);
  second.speak(bench, 11, 100);
  seal(second, bench);
  for (let s = 13; s <= 30; s++) {
    first.speak(bench, s);
    second.speak(bench, s, 100);
  }
  bench.commit();
  assert.deepEqual(states(bench), ['live', 'namesake']);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 29n });

  const after = begin();
  after.first.speak(after.bench, 1);
  after.second.speak(after.bench, 11, 100);
  seal(after.second, after.bench);
  for (let s = 13; s <= 45; s++) after.second.speak(after.bench, s, 100);
  after.bench.commit();
  assert.equal(hostRecord(after.bench.blobs).lineages[1]!.foldedThrough, 1n);
  assert.deepEqual(after.bench.totals, { 'web-1/syscalls/a': 3501n });
});

test('what is proven of one probe holds for all of the machine, and for what it loads later', () => {
  const { first, second, bench } = begin();
  const other = (uuid: number): ModelLineage =>
    new ModelLineage({ uuid, boot: 2, createdS: 10, probe: `own${uuid}`, tables: [counterTable(`own${uuid}`)] });
  const [own, later] = [other(3), other(4)];
  const speak = (lineage: ModelLineage, s: number): void => {
    lineage.count('a', 7);
    bench.batch(lineage.message(s - 9, wallAt(s)), at(s));
  };
  for (let s = 1; s <= 10; s++) first.speak(bench, s);
  for (let s = 11; s <= 30; s++) {
    first.speak(bench, s);
    second.speak(bench, s, 100);
    speak(own, s);
  }
  for (let s = 31; s <= 33; s++) speak(later, s);
  bench.commit();
  assert.deepEqual(states(bench), ['live', 'namesake', 'namesake', 'namesake']);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 30n });
});

test('it stays set aside through a restart of the aggregator, and through ten quiet minutes of folding', () => {
  const { first, second, bench } = begin();
  const both = (from: number, to: number): void => {
    for (let s = from; s <= to; s++) {
      first.speak(bench, s);
      second.speak(bench, s, 100);
    }
  };
  first.speak(bench, 10);
  both(11, 30);
  bench.commit();
  bench.start();
  both(31, 700);
  bench.nowMs = at(700);
  bench.commit();
  assert.deepEqual(states(bench), ['live', 'namesake']);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 691n });
});

test('a machine that has booted again speaks alone: its last words, late and repeated, prove nothing', () => {
  const { first, second, bench } = begin();
  for (let s = 1; s <= 10; s++) first.speak(bench, s);
  second.speak(bench, 11, 100);
  // As many as an agent may have on the way, overtaken by the first of the new boot; each of them twice.
  for (let s = 7; s <= 10; s++) {
    first.kernel.count('a', 1);
    const late = first.kernel.message(s + 4, wallAt(10));
    bench.batch(late, at(11.5));
    bench.batch(late, at(11.6));
  }
  for (let s = 12; s <= 30; s++) second.speak(bench, s, 100);
  bench.commit();
  assert.deepEqual(states(bench), ['ended', 'live']);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 2014n });
  assert.deepEqual(
    hostRecord(bench.blobs).unknown.map((u) => u.reason),
    ['reboot'],
  );
});

test('when the machine that counts is gone for long, the one set aside takes its place with all it has counted', () => {
  const { first, second, bench } = begin();
  first.speak(bench, 1);
  for (let s = 11; s <= 30; s++) {
    first.speak(bench, s);
    second.speak(bench, s, 100);
  }
  for (let s = 31; s <= 320; s++) second.speak(bench, s, 100);
  bench.commit();
  assert.deepEqual(states(bench), ['live', 'namesake'], 'not so soon');
  for (let s = 321; s <= 340; s++) second.speak(bench, s, 100);
  bench.commit();
  assert.deepEqual(states(bench), ['ended', 'live']);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 21n + 33_000n });
  const record = hostRecord(bench.blobs);
  assert.deepEqual(
    record.unknown.map((u) => u.reason),
    ['unknown-history'],
  );
  assert.equal(record.bootId.toString('hex'), '02'.repeat(16));
  assert.equal(
    record.lineages[1]!.ledgers.reduce((sum, l) => sum + l.quarantined, 0n),
    0n,
  );
  assert.ok(tells(bench.effects, 'resync').length > 0);
});

test('a machine that was only cut off for long and comes back counts again, and stays', () => {
  const { first, second, bench } = begin();
  const both = (from: number, to: number): void => {
    for (let s = from; s <= to; s++) {
      second.speak(bench, s, 100);
      first.speak(bench, s);
    }
  };
  first.speak(bench, 10);
  both(11, 30);
  for (let s = 31; s <= 340; s++) second.speak(bench, s, 100);
  bench.commit();
  assert.deepEqual(states(bench), ['ended', 'live']);
  both(341, 360);
  bench.commit();
  assert.deepEqual(states(bench), ['live', 'namesake']);
  both(361, 400);
  bench.commit();
  assert.deepEqual(states(bench), ['live', 'namesake'], 'still');
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 81n });
  assert.equal(bench.effects.filter((e) => e.kind === 'alarm').length, 2);
});

test('a clock an hour ahead changes no total, and every date is the bus’s', () => {
  const kernel = new ModelLineage({ createdS: 3600 });
  const bench = new Bench(kernel.partition);
  for (let s = 1; s <= 20; s++) {
    kernel.count('a', 5);
    bench.batch(kernel.message(3600 + s, wallAt(3600 + s)), at(s));
  }
  bench.nowMs = at(20);
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 100n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
  const record = hostRecord(bench.blobs);
  assert.equal(record.clockSkewMs, 3_600_000n);
  assert.equal(record.readWallNs, BigInt(at(20)) * 1_000_000n);
  assert.equal(record.lineages[0]!.readWallNs, BigInt(at(20)) * 1_000_000n);
  assert.equal(record.lineages[0]!.createdWallNs, BigInt(at(0)) * 1_000_000n);
  const windows = [...bench.blobs.keys()].filter((name) => name.startsWith('window/'));
  assert.ok(
    windows.every((name) => Number(name.split('/')[2]) <= at(20)),
    windows.join(),
  );
});

test('what a host could not load is kept with it', () => {
  const kernel = new ModelLineage();
  const bench = new Bench(kernel.partition);
  kernel.count('a', 1);
  const missing = [{ probe: 'tcp_bytes', program: '', hook: '', reason: 'this kernel lacks its hook' }];
  bench.batch(kernel.message(1, { missing }));
  bench.commit();
  bench.start();
  bench.batch(kernel.message(2, { only: [1] }));
  bench.commit();
  assert.deepEqual(
    hostRecord(bench.blobs).missing.map((m) => ({ ...m })),
    missing,
  );
});

test('word of the boot before that is overtaken by the first of the new one is no second machine', () => {
  const { first, second, bench } = begin();
  first.kernel.count('a', 5);
  const late = first.kernel.message(10, wallAt(10));
  for (let s = 11; s <= 15; s++) second.speak(bench, s, 100);
  // The store knew nothing of the first, and the bus hands out its last message after those of its heir.
  bench.batch(late, at(10));
  for (let s = 16; s <= 40; s++) second.speak(bench, s, 100);
  bench.commit();
  assert.deepEqual(states(bench), ['live', 'ended']);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 3005n });
  const reboot = hostRecord(bench.blobs).unknown.filter((u) => u.reason === 'reboot');
  assert.deepEqual(
    reboot.map((u) => u.endWallNs - u.startWallNs),
    [0n],
  );
});

test('last words of the boot before, held back until the new one has spoken, are no second machine either', () => {
  const { first, second, bench } = begin();
  first.kernel.count('a', 5);
  const held = first.kernel.message(10, wallAt(10));
  second.speak(bench, 11, 100);
  bench.batch(held, at(12));
  for (let s = 13; s <= 40; s++) second.speak(bench, s, 100);
  bench.commit();
  assert.deepEqual(
    hostRecord(bench.blobs).lineages.map((l) => [l.bootId[0], l.state]),
    [
      [2, 'live'],
      [1, 'ended'],
    ],
  );
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 2905n });
  assert.equal(bench.effects.filter((e) => e.kind === 'alarm').length, 0);
});
