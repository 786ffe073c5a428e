/** The memory budget: what a probe costs, when its tables are sized down, and what is refused. Hosts are numbers here. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { billBytes, mapBytes, tableBytes } from '../../services/loader/load/bill.ts';
import { fit, parseBytes, type Candidate } from '../../services/loader/load/fit.ts';
import { readObject } from '../../services/loader/object/object.ts';
import type { TableSchema } from '../../services/shared/contract/lineage.ts';
import { hintsFor } from '../../services/shared/contract/table-maps.ts';

const MiB = 2 ** 20;
const table = (name: string, rows: number): TableSchema => ({
  name,
  kind: 'counter',
  unit: 'calls',
  help: '',
  rows,
  hints: hintsFor(rows),
  keyWords: 3,
  valueCount: 1,
  labels: [],
});
const candidate = (probe: string, rows: number, given: Record<string, number> = {}): Candidate => ({
  probe,
  spec: { tables: [table(probe, rows)], otherMaps: [] },
  rows: new Map(Object.entries(given)),
});
const sized = (t: TableSchema, rows: number): TableSchema => ({ ...t, rows, hints: hintsFor(rows) });

test('on a host with 128 CPUs tables are halved until the bill fits, the dearest first, and it is said', () => {
  const candidates = [candidate('large', 16384), candidate('small', 1024)];
  const before = candidates.reduce((sum, c) => sum + billBytes(c.spec.tables, 128), 0);
  assert.ok(before > 64 * MiB);
  const { fitted, refused } = fit(candidates, 128, 32 * MiB);
  assert.equal(refused.size, 0);
  const rows = fitted.get('large')!.rows.get('large')!;
  assert.deepEqual(fitted.get('large')!.shrunk, [{ table: 'large', declared: 16384, rows }]);
  assert.equal(rows, 4096);
  assert.deepEqual(fitted.get('small'), { rows: new Map([['small', 1024]]), shrunk: [] });
  const after = billBytes([sized(table('large', 1), rows), table('small', 1024)], 128);
  assert.ok(after <= 32 * MiB && after > 16 * MiB, `${after}`);
});

test('with eight CPUs or fewer nothing is sized down: what does not fit is refused, with its sum', () => {
  const { fitted, refused } = fit([candidate('small', 1024), candidate('vast', 4194304)], 8, 64 * MiB);
  assert.deepEqual([...fitted.keys()], ['small']);
  const error = refused.get('vast')!;
  assert.equal(error.code, 'bpf/memory');
  assert.match(error.what, /^table vast: probe vast needs \d+\.\d MiB of kernel memory here, and 6\d\.\d MiB/);
  assert.match(String(error.cause), /8 possible CPUs × 4194304 rows × 1 × 8 bytes × 2 slots/);
  assert.match(error.remedy, /--rows TABLE=N.*--memory-budget/);
});

test('rows given by hand are never changed', () => {
  const { fitted, refused } = fit([candidate('a', 16384, { a: 8192 }), candidate('b', 16384)], 128, 64 * MiB);
  assert.equal(refused.size, 0);
  assert.equal(fitted.get('a')!.rows.get('a'), 8192);
  assert.deepEqual(fitted.get('a')!.shrunk, []);
  assert.ok(fitted.get('b')!.rows.get('b')! < 16384);
  assert.ok(fit([candidate('a', 16384, { a: 16384 })], 128, 8 * MiB).refused.has('a'));
});

test('laws: what fits is within the budget; a table costs at most its share of the rule less; all are answered', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 1 << 17 }), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 512 }),
      fc.integer({ min: 0, max: 1024 * MiB }),
      (sizes, cpus, budget) => {
        const candidates = sizes.map((rows, i) => candidate(`p${i}`, rows));
        const { fitted, refused } = fit(candidates, cpus, budget);
        assert.equal(fitted.size + refused.size, sizes.length);
        let bytes = 0;
        for (const [probe, { rows }] of fitted) {
          const declared = sizes[Number(probe.slice(1))]!;
          const now = rows.get(probe)!;
          assert.ok(now <= declared && now >= Math.min(declared, 256));
          assert.ok(now >= Math.min(declared, (declared * 8) / cpus));
          bytes += tableBytes(sized(table(probe, 1), now), cpus);
        }
        assert.ok(bytes <= budget || fitted.size === 0);
        assert.deepEqual(fit(candidates, cpus, budget).fitted, fitted, 'the same host gives the same sizes');
      },
    ),
    { numRuns: 200 },
  );
});

test('maps of a probe’s own are on the bill', () => {
  const map = (type: number, keyBytes: number, valueBytes: number, count: number, flags = 0): number =>
    mapBytes({ name: 'm', type, keyBytes, valueBytes, count, flags }, 4);
  assert.equal(map(2, 4, 64, 1024), 320 + 65536);
  assert.equal(map(2, 4, 64, 1024, 1 << 10), 4096 + 65536);
  assert.equal(map(6, 4, 8, 100), 320 + 100 * (8 + 4 * 8));
  assert.equal(map(27, 0, 0, 1 << 20), 4 * 4096 + (1 << 20));
  assert.ok(map(1, 8, 8, 1000) > 1000 * 64);
  assert.ok(map(99, 8, 8, 1000) > 1000 * 16, 'an unknown kind costs something');
  const { refused } = fit(
    [
      {
        ...candidate('a', 64),
        spec: {
          tables: [table('a', 64)],
          otherMaps: [{ name: 'events', type: 27, keyBytes: 0, valueBytes: 0, count: 128 * MiB, flags: 0 }],
        },
      },
    ],
    4,
    64 * MiB,
  );
  assert.match(refused.get('a')!.what, /^map events: probe a needs 128\.\d MiB/);
});

/** Each for a purpose of its own, loaded by name, and with memory to match. */
const optIn = ['cpu_profile', 'functions', 'off_cpu'];

test('all built-in probes but the opt-in ones fit into the default budget, from 2 possible CPUs to 256', () => {
  const objects = join(import.meta.dirname, '../../build/bpf');
  const builtIn = readdirSync(objects)
    .filter((file) => file.endsWith('.bpf.o') && !optIn.includes(file.replace('.bpf.o', '')))
    .map((file): Candidate => ({ probe: file, spec: readObject(readFileSync(join(objects, file))), rows: new Map() }));
  assert.ok(builtIn.length >= 2);
  for (const cpus of [2, 8, 16, 64, 128, 256]) {
    const { fitted, refused } = fit(builtIn, cpus, 256 * MiB);
    assert.deepEqual([...refused.values()].map(String), [], `${cpus} CPUs`);
    if (cpus <= 8) assert.ok([...fitted.values()].every((f) => f.shrunk.length === 0));
  }
});

test('sizes as people write them', () => {
  assert.deepEqual(['64MiB', '1GiB', '4096', '2KiB'].map(parseBytes), [64 * MiB, 1024 * MiB, 4096, 2048]);
  for (const text of ['', '64MB', '64 MiB', '-1', '1.5GiB', 'MiB']) assert.equal(parseBytes(text), undefined, text);
});
