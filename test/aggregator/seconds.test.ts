/** Tables that are kept by second: each rise stands in the second in which it was counted, or is said not to be told. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { setBigInt, toBigInt } from '../../services/shared/algebra/limbs.ts';
import type { Batch } from '../../services/shared/contract/batch.ts';
import { parseBlobName } from '../../services/shared/contract/checkpoint.ts';
import { decodeWindow } from '../../services/shared/contract/checkpoint-codec.ts';
import { emptyColumns, encodeColumns } from '../../services/shared/contract/columns.ts';
import { valuesBySecond } from '../../services/shared/contract/seconds.ts';
import { Bench, counterTable, epochMs, ModelLineage, secondNs, tells } from './fixtures.ts';

const table = { ...counterTable('samples'), valueCount: valuesBySecond };
const wallNs = BigInt(epochMs) * 1_000_000n;
const labels = ['a', 'b', 'c'];

/** A kernel that counts at given instants, and an agent that reads it; times are ms since epochMs, and boot time. */
class BySecond extends ModelLineage {
  readonly values = labels.map(() => new Array<bigint>(valuesBySecond).fill(0n));
  private sent = this.values.map((v) => [...v]);
  readonly truth = new Map<number, bigint>();

  constructor() {
    super({ tables: [table] });
  }

  /** `label` counts n at this instant. */
  at(ms: number, n: number, label = 0): void {
    const second = Math.floor((epochMs + ms) / 1000);
    const row = this.values[label]!;
    row[0]! += BigInt(n);
    row[1 + (second % 10)]! += BigInt(n);
    this.truth.set(second, (this.truth.get(second) ?? 0n) + BigInt(n));
  }

  override get seen(): bigint {
    return this.values?.reduce((sum, v) => sum + v[0]!, 0n) ?? 0n;
  }

  /** What the agent sends of a read at this instant: of seconds, what changed since the last it sent. */
  read(ms: number, more: Partial<Batch> = {}): { subject: string; payload: Uint8Array } {
    const whole = more.keyframe === true;
    const columns = emptyColumns(1, valuesBySecond, labels.length);
    columns.rowCount = labels.length;
    this.values.forEach((row, r) => {
      columns.ids[r] = r + 1;
      row.forEach((value, v) => {
        const kept = whole || v === 0 || value !== this.sent[r]![v]!;
        setBigInt(columns.values, (v * labels.length + r) * 2, kept ? value : 0n);
      });
      columns.definitions.push({ id: r + 1, labels: [labels[r]!] });
    });
    this.sent = this.values.map((v) => [...v]);
    const boottimeNs = BigInt(ms) * 1_000_000n;
    return super.message(ms / 1000, {
      keyframe: whole,
      schemaJson: whole ? JSON.stringify(this.tables) : '',
      seconds: { offsetNs: wallNs, copiedBoottimeNs: boottimeNs + 3_000_000n },
      tables: [
        {
          table: table.name,
          ledger: { seen: this.seen, failed: [] },
          retiredSeen: 0n,
          columns: Buffer.from(encodeColumns(columns)),
        },
      ],
      ...more,
    });
  }
}

interface Points {
  readonly points: Map<number, bigint>;
  undivided: bigint;
  total: bigint;
  seen: bigint;
}

/** What all windows say. */
function pointsOf(bench: Bench): Points {
  const found: Points = { points: new Map(), undivided: 0n, total: 0n, seen: 0n };
  for (const [text, blob] of bench.blobs) {
    if (parseBlobName(text).kind !== 'window') continue;
    const window = decodeWindow(blob);
    for (const { increments: i, undivided = 0n, seen } of window.hosts) {
      found.undivided += undivided;
      found.seen += seen;
      for (let r = 0; r < i.count; r++) {
        const values = Array.from({ length: i.valueCount }, (_, v) => toBigInt(i.values, (v * i.count + r) * 2));
        const [sum, ...seconds] = values as [bigint, ...bigint[]];
        found.total += sum;
        assert.equal(
          seconds.reduce((a, b) => a + b, 0n),
          sum,
          'a window holds the sum of its seconds',
        );
        seconds.forEach((n, s) => {
          const at = window.startMs / 1000 + s;
          if (n > 0n) found.points.set(at, (found.points.get(at) ?? 0n) + n);
        });
      }
    }
  }
  return found;
}

/** Half of what stands elsewhere than it should. */
function misplaced(truth: ReadonlyMap<number, bigint>, points: ReadonlyMap<number, bigint>): bigint {
  let apart = 0n;
  for (const at of new Set([...truth.keys(), ...points.keys()])) {
    const d = (points.get(at) ?? 0n) - (truth.get(at) ?? 0n);
    apart += d < 0n ? -d : d;
  }
  return apart / 2n;
}

const began = (): { kernel: BySecond; bench: Bench } => {
  const kernel = new BySecond();
  const bench = new Bench(kernel.partition);
  bench.batch(kernel.read(100, { keyframe: true }));
  return { kernel, bench };
};

test('what one read brings of two windows stands in each second of both', () => {
  const { kernel, bench } = began();
  for (let ms = 200; ms < 8000; ms += 100) kernel.at(ms, 1 + Math.floor(ms / 1000), (ms / 100) % 3);
  bench.batch(kernel.read(8000));
  for (let ms = 8000; ms < 15_900; ms += 100) kernel.at(ms, 1 + Math.floor(ms / 1000), (ms / 100) % 3);
  bench.batch(kernel.read(15_900));
  bench.commit();
  const { points, undivided, seen } = pointsOf(bench);
  assert.deepEqual(points, kernel.truth);
  assert.equal(undivided, 0n);
  assert.equal(seen, kernel.seen, 'the ledger goes with its events');
});

test('more than nine seconds at once are not divided: they stand where they were read, and are said to', () => {
  const { kernel, bench } = began();
  kernel.at(500, 7);
  kernel.at(9_500, 5);
  bench.batch(kernel.read(9_900));
  bench.commit();
  const { points, undivided } = pointsOf(bench);
  assert.deepEqual(points, new Map([[Math.floor((epochMs + 9_900) / 1000), 12n]]));
  assert.equal(undivided, 12n);
});

test('neither are those of an agent that does not say by which clock they were told', () => {
  const { kernel, bench } = began();
  kernel.at(500, 7);
  bench.batch(kernel.read(1500, { seconds: undefined }));
  bench.commit();
  assert.equal(pointsOf(bench).undivided, 7n);
});

test('a host whose clock is years off is dated by the bus, second for second', () => {
  const kernel = new BySecond();
  const bench = new Bench(kernel.partition);
  const off = { readWallNs: wallNs - 100_000_000n * secondNs };
  const offset = { offsetNs: wallNs - 100_000_000n * secondNs, copiedBoottimeNs: 0n };
  const at = (ms: number, more: Partial<Batch>): Partial<Batch> => ({
    ...more,
    readWallNs: off.readWallNs + BigInt(ms) * 1_000_000n,
    seconds: { ...offset, copiedBoottimeNs: BigInt(ms + 3) * 1_000_000n },
  });
  bench.batch(kernel.read(100, at(100, { keyframe: true })), epochMs + 100);
  for (let ms = 200; ms < 7000; ms += 250) kernel.at(ms, 1);
  bench.batch(kernel.read(7000, at(7000, {})), epochMs + 7000);
  bench.commit();
  const { points, undivided } = pointsOf(bench);
  assert.equal(undivided, 0n);
  assert.deepEqual(points, kernel.truth);
});

test('whatever is lost, doubled, late or split: nothing stands in a wrong second that is not said to', () => {
  const readOf = fc.record({
    afterMs: fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 50, max: 3000 }) },
      fc.integer({ min: 50, max: 14_000 }),
    ),
    events: fc.array(fc.record({ part: fc.nat(999), n: fc.integer({ min: 1, max: 1000 }), label: fc.nat(2) }), {
      maxLength: 6,
    }),
    fate: fc.constantFrom('comes', 'comes', 'comes', 'comes', 'is lost', 'comes twice', 'comes late'),
  });
  fc.assert(
    fc.property(fc.array(readOf, { minLength: 1, maxLength: 25 }), (reads) => {
      const { kernel, bench } = began();
      let ms = 100;
      let late: ReturnType<BySecond['read']> | undefined;
      let peaceful = true;
      let keyframe = false;
      for (const { afterMs, events, fate } of reads) {
        for (const { part, n, label } of events)
          kernel.at(ms + 5 + Math.floor((part * (afterMs - 6)) / 1000), n, label);
        ms += afterMs;
        const message = kernel.read(ms, { keyframe });
        if (fate !== 'comes' || afterMs > 8000) peaceful = false;
        const before = bench.effects.length;
        if (fate === 'comes late') late = message;
        else if (fate !== 'is lost') bench.batch(message, epochMs + ms);
        if (fate === 'comes twice') bench.batch(message, epochMs + ms);
        else if (late && fate === 'comes') {
          bench.batch(late, epochMs + ms);
          late = undefined;
        }
        keyframe = tells(bench.effects.slice(before), 'resync').length > 0;
      }
      bench.batch(kernel.read(ms + 500, { keyframe: true }), epochMs + ms + 500);
      bench.commit();
      const { points, undivided, total } = pointsOf(bench);
      assert.equal(total, kernel.seen);
      const wrong = misplaced(kernel.truth, points);
      assert.ok(wrong <= undivided, `${wrong} stand in a wrong second, ${undivided} are said to`);
      if (peaceful) assert.equal(undivided, 0n);
    }),
    { numRuns: 300 },
  );
});
