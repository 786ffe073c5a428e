/** One message: it survives, its checksum catches every flipped bit, and damaged bytes are refused as such. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc, { type Arbitrary } from 'fast-check';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { Batch, batchBytesMax, decodeBatch, encodeBatch } from '../../services/shared/contract/batch.ts';
import { wireNewest, wireVersions } from '../../services/shared/contract/wire.ts';
import { xxh32 } from '../../services/shared/contract/checksum.ts';
import { createRandom } from '../simulation/random.ts';

const plain = { noNullPrototype: true } as const;
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const bytes = (length: number): Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((b) => Buffer.from(b));
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });

const batch = fc.record(
  {
    wireVersion: fc.constantFrom(...wireVersions),
    host: name,
    hostLabels: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), name, { maxKeys: 3, noNullPrototype: true }),
    kernelRelease: fc.string(),
    lineage: fc.record(
      {
        probe: name,
        uuid: bytes(16),
        bootId: bytes(16),
        createdBoottimeNs: u64,
        createdWallNs: u64,
        schemaHash: u64,
        detachedWallNs: u64,
      },
      plain,
    ),
    generation: fc.bigInt({ min: 1n, max: (1n << 56n) - 1n }),
    sealed: fc.boolean(),
    keyframe: fc.boolean(),
    part: fc.nat(9),
    parts: fc.nat(9),
    sequence: u64,
    readBoottimeNs: u64,
    readWallNs: u64,
    intervalNs: u64,
    tables: fc.array(
      fc.record(
        {
          table: name,
          ledger: fc.record({ seen: u64, failed: fc.array(u64, { minLength: 4, maxLength: 4 }) }, plain),
          retiredSeen: u64,
          columns: fc.uint8Array({ maxLength: 80 }).map((b) => Buffer.from(b)),
        },
        plain,
      ),
      { maxLength: 3 },
    ),
    programs: fc.array(
      fc.record(
        {
          program: name,
          skipped: fc.option(u64, { nil: undefined }),
          runs: u64,
          runTimeNs: u64,
          periodNs: fc.option(u64, { nil: undefined }),
          periodRuns: fc.option(u64, { nil: undefined }),
          periodRunTimeNs: fc.option(u64, { nil: undefined }),
          hook: fc.string(),
        },
        plain,
      ),
      { maxLength: 3 },
    ),
    schemaJson: fc.string(),
    checksum: fc.constant(0),
    synthetic: fc.boolean(),
    kernelBytes: fc.option(u64, { nil: undefined }),
    missing: fc.array(fc.record({ probe: name, program: fc.string(), hook: fc.string(), reason: fc.string() }, plain), {
      maxLength: 3,
    }),
  },
  plain,
);

/** As text, fields in order, bytes as numbers. */
const shown = (b: Batch): string =>
  JSON.stringify({ ...b, checksum: 0 }, (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v));

test('a batch survives', () => {
  fc.assert(
    fc.property(batch, (b) => {
      const bytes = encodeBatch(b as Batch);
      const decoded = decodeBatch(bytes);
      assert.equal(shown(decoded), shown(b as Batch));
      assert.deepEqual(encodeBatch(decoded), bytes);
    }),
    { numRuns: 300 },
  );
});

test('the checksum is the last field of the message', () => {
  const encoded = encodeBatch(fc.sample(batch, { numRuns: 1, seed: 1 })[0] as Batch);
  const view = new DataView(encoded.buffer);
  assert.equal(view.getUint16(encoded.length - 6), 0x9501);
  assert.equal(view.getUint32(encoded.length - 4, true), xxh32(encoded.subarray(0, -6)));
  assert.equal(Batch.decode(encoded).checksum, xxh32(encoded.subarray(0, -6)));
});

/** The code of the refusal, or 'decoded'. Anything but a MusterError fails. */
function outcome(encoded: Uint8Array): string {
  try {
    decodeBatch(encoded);
    return 'decoded';
  } catch (error) {
    assert.ok(error instanceof MusterError, `a foreign error: ${String(error)}`);
    return error.code;
  }
}

test('one flipped bit anywhere is caught', () => {
  const encoded = encodeBatch(fc.sample(batch, { numRuns: 1, seed: 2 })[0] as Batch);
  for (let bit = 0; bit < encoded.length * 8; bit++) {
    const bad = encoded.slice();
    bad[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(outcome(bad), 'wire/malformed', `bit ${bit}`);
  }
});

test('every proper prefix is refused', () => {
  const encoded = encodeBatch(fc.sample(batch, { numRuns: 1, seed: 3 })[0] as Batch);
  for (let n = 0; n < encoded.length; n++)
    assert.equal(outcome(encoded.subarray(0, n)), 'wire/malformed', `prefix of ${n}`);
});

/** A body as it is, under a checksum that fits. */
function signed(body: Uint8Array): Uint8Array {
  const encoded = new Uint8Array(body.length + 6);
  encoded.set(body);
  encoded.set([0x95, 0x01], body.length);
  new DataView(encoded.buffer).setUint32(body.length + 2, xxh32(body), true);
  return encoded;
}

test('50,000 damaged bodies under a fitting checksum are decoded or refused, never anything else', () => {
  const random = createRandom(11n);
  const seeds = fc.sample(batch, { numRuns: 40, seed: 11 }).map((b) => encodeBatch(b as Batch).subarray(0, -6));
  const outcomes = new Map<string, number>();
  for (let i = 0; i < 50_000; i++) {
    const from = seeds[random.below(seeds.length)]!;
    const body = from.slice(0, random.chance(0.3) ? random.below(from.length + 1) : from.length);
    const flips = random.below(5);
    for (let f = 0; f < flips && body.length > 0; f++) body[random.below(body.length)] = random.below(256);
    const o = outcome(signed(body));
    outcomes.set(o, (outcomes.get(o) ?? 0) + 1);
  }
  assert.deepEqual([...outcomes.keys()].sort(), ['decoded', 'wire/malformed', 'wire/version']);
  for (const [o, n] of outcomes) assert.ok(n > 100, `${o}: ${n}`);
});

test('what no agent writes is refused by name', () => {
  const good = fc.sample(batch, { numRuns: 1, seed: 4 })[0] as Batch;
  const lineage = good.lineage!;
  const encode = (change: Partial<Batch>): Uint8Array =>
    signed(Batch.encode({ ...good, checksum: 0, ...change }).finish());
  const cases: [string, Partial<Batch>, string][] = [
    ['as it is', {}, 'decoded'],
    ['a newer wire version', { wireVersion: wireNewest + 1 }, 'wire/version'],
    ['no wire version', { wireVersion: 0 }, 'wire/version'],
    ['no host', { host: '' }, 'wire/malformed'],
    ['no lineage', { lineage: undefined }, 'wire/malformed'],
    ['a short uuid', { lineage: { ...lineage, uuid: Buffer.alloc(15) } }, 'wire/malformed'],
    ['a long boot id', { lineage: { ...lineage, bootId: Buffer.alloc(17) } }, 'wire/malformed'],
    ['no probe', { lineage: { ...lineage, probe: '' } }, 'wire/malformed'],
    ['generation 0', { generation: 0n }, 'wire/malformed'],
  ];
  for (const [what, change, expected] of cases) assert.equal(outcome(encode(change)), expected, what);
  assert.equal(outcome(new Uint8Array(batchBytesMax + 1)), 'wire/too-large');
  assert.equal(outcome(new Uint8Array(0)), 'wire/malformed');
});
