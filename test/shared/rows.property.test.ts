/** Laws of the tables that hold counts: the join by maximum over rows, sums by series, labels to numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toBigInt } from '../../services/shared/algebra/limbs.ts';
import { type IncomingRows, noSeries, RowTable, rowsPerPage } from '../../services/shared/algebra/row-table.ts';
import { SeriesIndex } from '../../services/shared/algebra/series-index.ts';
import { SumTable } from '../../services/shared/algebra/sum-table.ts';

const u64 = fc.bigInt({ min: 0n, max: 2n ** 62n });
/** Some rows with two values each. */
const block = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 12 }), u64, u64), { selector: ([row]) => row, maxLength: 8 })
  .map((rows) => [...rows].sort(([a], [b]) => a - b));
type Block = readonly (readonly [row: number, first: bigint, second: bigint])[];

function incoming(rows: Block): IncomingRows {
  const values = new Uint32Array(rows.length * 4);
  for (const [i, [, a, b]] of rows.entries()) {
    values.set([Number(a & 0xffffffffn), Number(a >> 32n)], i * 2);
    values.set([Number(b & 0xffffffffn), Number(b >> 32n)], (rows.length + i) * 2);
  }
  return { rowCount: rows.length, ids: Uint32Array.from(rows, ([row]) => row), values };
}

/** Rows 0…9 are known and count for series row mod 4; the others are not. */
function known(): RowTable {
  const table = new RowTable(2);
  for (let row = 0; row < 10; row++) assert.equal(table.define(row, row % 4), true);
  return table;
}

const seriesOf = (sums: SumTable): bigint[] =>
  Array.from({ length: 8 }, (_, i) => (i < sums.size * 2 ? toBigInt(sums.values, i * 2) : 0n));

function joined(blocks: readonly Block[]): { table: RowTable; sums: SumTable } {
  const table = known();
  const sums = new SumTable(2, 4);
  for (const b of blocks) table.join(incoming(b), sums);
  return { table, sums };
}

test('join: order and repeats do not matter, and what rose is what was added', () => {
  fc.assert(
    fc.property(fc.array(block, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 10 }), (blocks, picks) => {
      const once = joined(blocks);
      const shuffled = [...picks.map((p) => blocks[p % Math.max(1, blocks.length)] ?? []), ...[...blocks].reverse()];
      const again = joined(shuffled);
      assert.deepEqual(again.table.last, once.table.last);
      assert.deepEqual(seriesOf(again.sums), seriesOf(once.sums));
      // The sums are Σ of the rows.
      const direct = new SumTable(2, 4);
      once.table.addTo(direct);
      assert.deepEqual(seriesOf(once.sums), seriesOf(direct));
      const truth = new Map<number, bigint>();
      for (const [row, a] of blocks.flat()) if (row < 10 && a > (truth.get(row) ?? 0n)) truth.set(row, a);
      assert.equal(
        once.table.total(),
        BigInt.asUintN(
          64,
          [...truth.values()].reduce((x, y) => x + y, 0n),
        ),
      );
      assert.equal(once.table.overflow(), truth.get(0) ?? 0n);
    }),
  );
});

test('join: unknown rows are left alone and named; undated rows rise without being added', () => {
  fc.assert(
    fc.property(block, (rows) => {
      const table = known();
      const sums = new SumTable(2, 4);
      const unknown = table.join(incoming(rows), sums, (row) => row % 2 === 0);
      assert.equal(unknown, rows.find(([row]) => row >= 10)?.[0] ?? -1);
      const expected = [0n, 0n, 0n, 0n];
      for (const [row, a] of rows) if (row < 10 && row % 2 === 0) expected[row % 4]! += a;
      assert.deepEqual(
        [0, 1, 2, 3].map((s) => toBigInt(sums.values, s * 4)),
        expected.map((v) => BigInt.asUintN(64, v)),
      );
    }),
  );
});

test('a row keeps its first series, and pages give back what they hold', () => {
  fc.assert(
    fc.property(fc.array(block, { maxLength: 4 }), (blocks) => {
      const { table } = joined(blocks);
      assert.equal(table.define(3, 7), false);
      table.define(rowsPerPage + 5, 2);
      const copy = new RowTable(2);
      for (const page of table.changed) copy.restore(table.page(page));
      assert.equal(copy.rows, table.rows);
      for (let row = 0; row < table.rows; row++) {
        assert.equal(copy.series[row], table.series[row]);
        if (table.series[row] === noSeries) continue;
        assert.equal(toBigInt(copy.last, row * 4), toBigInt(table.last, row * 4));
      }
    }),
  );
});

test('only pages that rose or were defined are marked', () => {
  const table = new RowTable(1);
  table.define(1, 1);
  table.define(rowsPerPage, 2);
  table.changed.clear();
  const one = (row: number, value: number): IncomingRows => ({
    rowCount: 1,
    ids: Uint32Array.of(row),
    values: Uint32Array.of(value, 0),
  });
  table.join(one(rowsPerPage, 5), undefined);
  assert.deepEqual([...table.changed], [1]);
  table.changed.clear();
  table.join(one(rowsPerPage, 5), undefined);
  table.join(one(rowsPerPage, 4), undefined);
  assert.deepEqual([...table.changed], []);
});

test('sums: non-zero series come back as they were', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(40), u64, u64), { maxLength: 20 }), (adds) => {
      const sums = new SumTable(2);
      for (const [series, a, b] of adds) {
        sums.reserve(series + 1);
        sums.add(
          series,
          Uint32Array.of(Number(a & 0xffffffffn), Number(a >> 32n), Number(b & 0xffffffffn), Number(b >> 32n)),
          0,
        );
      }
      const copy = new SumTable(2);
      copy.restore(sums.nonZero());
      assert.deepEqual(copy.nonZero(), sums.nonZero());
      for (const series of new Set(adds.map(([s]) => s))) {
        const truth = adds.reduce((sum, [s, , b]) => (s === series ? sum + b : sum), 0n);
        assert.equal(toBigInt(sums.values, series * 4 + 2), BigInt.asUintN(64, truth));
      }
    }),
  );
});

test('labels: the same labels are one series, others never are, and numbers survive a restore', () => {
  const label = fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('1:', ':', '2:ab', ''));
  fc.assert(
    fc.property(fc.array(fc.tuple(label, label), { maxLength: 30 }), (list) => {
      const index = new SeriesIndex(2);
      const numbers = new Map<string, number>();
      for (const labels of list) {
        const series = index.intern(labels);
        assert.ok(series > 0);
        const id = JSON.stringify(labels);
        assert.equal(numbers.get(id) ?? series, series);
        numbers.set(id, series);
      }
      assert.equal(new Set(numbers.values()).size, numbers.size);
      assert.equal(index.size, numbers.size + 1);
      const copy = new SeriesIndex(2);
      for (let s = 0; s < index.size; s++) copy.restore(s, index.slice(s, 1));
      for (const labels of list) assert.equal(copy.intern(labels), index.intern(labels));
      assert.deepEqual(copy.slice(0, copy.size), index.slice(0, index.size));
    }),
  );
});
