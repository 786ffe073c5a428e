/** The column block: every value survives, and damaged bytes are refused quickly, with bounded memory. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc, { type Arbitrary } from 'fast-check';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { setBigInt, toBigInt } from '../../services/shared/algebra/limbs.ts';
import {
  blockLimits,
  decodeColumns,
  emptyColumns,
  encodeColumns,
  type Columns,
} from '../../services/shared/contract/columns.ts';
import { createRandom } from '../simulation/random.ts';

/** A block in plain values, to compare by. */
interface Plain {
  labelCount: number;
  valueCount: number;
  definitions: { id: number; labels: string[] }[];
  rows: { id: number; values: bigint[] }[];
}

function toColumns(p: Plain): Columns {
  const c = emptyColumns(p.labelCount, p.valueCount, p.rows.length);
  c.definitions = p.definitions;
  c.rowCount = p.rows.length;
  p.rows.forEach((row, r) => {
    c.ids[r] = row.id;
    row.values.forEach((value, v) => setBigInt(c.values, (v * p.rows.length + r) * 2, value));
  });
  return c;
}

const toPlain = (c: Columns): Plain => ({
  labelCount: c.labelCount,
  valueCount: c.valueCount,
  definitions: c.definitions.map((d) => ({ id: d.id, labels: [...d.labels] })),
  rows: Array.from({ length: c.rowCount }, (_, r) => ({
    id: c.ids[r]!,
    values: Array.from({ length: c.valueCount }, (_, v) => toBigInt(c.values, (v * c.rowCount + r) * 2)),
  })),
});

const edges: bigint[] = [0n];
for (let bit = 0n; bit <= 64n; bit++) for (const d of [-1n, 0n, 1n]) edges.push((1n << bit) + d);
const u64 = fc.oneof(
  fc.constantFrom(...edges.filter((e) => e < 1n << 64n)),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);
const plainObjects = { noNullPrototype: true } as const;
const id = fc.oneof(fc.nat(300), fc.nat(0xffffffff), fc.constantFrom(0, 0xffffffff));
const labelText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.constantFrom('', '\uFEFFbom', '\0', 'a'.repeat(127), 'b'.repeat(128), 'c'.repeat(4096), 'é'.repeat(2048)),
);
const plain: Arbitrary<Plain> = fc
  .record({ labelCount: fc.nat(4), valueCount: fc.integer({ min: 1, max: 3 }) }, plainObjects)
  .chain((shape) =>
    fc.record(
      {
        labelCount: fc.constant(shape.labelCount),
        valueCount: fc.constant(shape.valueCount),
        definitions: fc
          .uniqueArray(
            fc.record(
              { id, labels: fc.array(labelText, { minLength: shape.labelCount, maxLength: shape.labelCount }) },
              plainObjects,
            ),
            {
              selector: (d) => d.id,
              maxLength: 12,
            },
          )
          .map((ds) => ds.sort((a, b) => a.id - b.id)),
        rows: fc
          .uniqueArray(
            fc.record(
              { id, values: fc.array(u64, { minLength: shape.valueCount, maxLength: shape.valueCount }) },
              plainObjects,
            ),
            {
              selector: (r) => r.id,
              maxLength: 30,
            },
          )
          .map((rs) => rs.sort((a, b) => a.id - b.id)),
      },
      plainObjects,
    ),
  );

test('a block survives encoding', () => {
  const reused = emptyColumns();
  fc.assert(
    fc.property(plain, (p) => {
      const bytes = encodeColumns(toColumns(p));
      assert.deepEqual(toPlain(decodeColumns(bytes)), p);
      assert.deepEqual(toPlain(decodeColumns(bytes, reused)), p, 'into used arrays');
    }),
    { numRuns: 500 },
  );
});

test('every edge of u64 survives, in the last bit', () => {
  const values = edges.filter((e) => e < 1n << 64n);
  const p: Plain = {
    labelCount: 0,
    valueCount: 1,
    definitions: [],
    rows: values.map((v, r) => ({ id: r, values: [v] })),
  };
  assert.deepEqual(toPlain(decodeColumns(encodeColumns(toColumns(p)))), p);
});

test('the bytes drawn in the codec are the bytes', () => {
  const bytes = encodeColumns(
    toColumns({
      labelCount: 0,
      valueCount: 1,
      definitions: [],
      rows: [
        { id: 1, values: [300n] },
        { id: 3, values: [5n] },
      ],
    }),
  );
  assert.equal(Buffer.from(bytes).toString('hex'), '01000100000201' + '02ac0205');
});

const refused = (bytes: Uint8Array): boolean => {
  try {
    decodeColumns(bytes);
    return false;
  } catch (error) {
    assert.ok(error instanceof MusterError, `a foreign error: ${String(error)}`);
    assert.equal(error.code, 'wire/malformed');
    return true;
  }
};

test('every proper prefix is refused, and so is a block with bytes after it', () => {
  fc.assert(
    fc.property(plain, (p) => {
      const bytes = encodeColumns(toColumns(p));
      for (let n = 0; n < bytes.length; n += n < 64 ? 1 : 97)
        assert.ok(refused(bytes.subarray(0, n)), `prefix of ${n}`);
      assert.ok(refused(Uint8Array.of(...bytes, 0)));
    }),
    { numRuns: 60 },
  );
});

test('50,000 damaged blocks are decoded or refused, never anything else', () => {
  const random = createRandom(7n);
  const seeds = fc.sample(plain, { numRuns: 40, seed: 7 }).map((p) => encodeColumns(toColumns(p)));
  let bad = 0;
  for (let i = 0; i < 50_000; i++) {
    const from = seeds[random.below(seeds.length)]!;
    const bytes = from.slice(0, random.chance(0.3) ? random.below(from.length + 1) : from.length);
    const flips = random.below(4);
    for (let f = 0; f < flips && bytes.length > 0; f++) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    if (random.chance(0.2) && bytes.length > 4)
      bytes.fill(random.chance(0.5) ? 0xff : random.below(256), random.below(bytes.length));
    if (refused(bytes)) bad++;
  }
  assert.ok(bad > 20_000 && bad < 50_000, `${bad} refused`);
});

test('a few bytes never make the decoder allocate a large block', () => {
  const claim = (rows: number, valueCount: number): Uint8Array => {
    const bytes = new Uint8Array(100_000);
    bytes.set([1, 0, valueCount, 0, 0, (rows & 0x7f) | 0x80, ((rows >> 7) & 0x7f) | 0x80, rows >> 14]);
    bytes.fill(1, 8);
    return bytes;
  };
  const into = emptyColumns();
  assert.throws(() => decodeColumns(claim(99_000, blockLimits.values), into), { code: 'wire/malformed' });
  assert.ok(into.values.byteLength < 1 << 20, `${into.values.byteLength} bytes held`);
});

test('what no encoder writes is refused', () => {
  const varints = (...n: number[]): Uint8Array => Uint8Array.from(n);
  const cases: Record<string, Uint8Array> = {
    'a newer block version': varints(2, 0, 1, 0, 0, 0),
    'rows that do not ascend': varints(1, 0, 1, 0, 0, 2, 5, 0, 1, 1),
    'definitions that do not ascend': varints(1, 0, 1, 0, 2, 5, 0, 0),
    'a string index out of range': varints(1, 1, 1, 1, 1, 97, 1, 4, 1, 0),
    'an id above 2^32': varints(1, 0, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 1),
    'a value above 2^64': varints(1, 0, 1, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2),
    'a value of eleven bytes': varints(
      1,
      0,
      1,
      0,
      0,
      1,
      0,
      0x80,
      0x80,
      0x80,
      0x80,
      0x80,
      0x80,
      0x80,
      0x80,
      0x80,
      0x80,
      0,
    ),
    'too many labels': varints(1, 33, 1, 0, 0, 0),
    'too many values': varints(1, 0, 17, 0, 0, 0),
    'nothing at all': varints(),
  };
  for (const [name, bytes] of Object.entries(cases)) assert.ok(refused(bytes), name);
});
