/** What a pinned directory says of itself: parsed whole, or refused with the field's name. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import {
  callerLabels,
  lineageFormat,
  parseLineageMeta,
  parseTables,
  schemaHash,
  type LineageMeta,
  type TableSchema,
} from '../../services/shared/contract/lineage.ts';

const table: TableSchema = {
  name: 'runqueue',
  kind: 'histogram',
  unit: 'ns',
  help: 'time from wake-up to CPU',
  rows: 64,
  hints: 64,
  keyWords: 3,
  valueCount: 2,
  labels: [
    { name: 'comm', meaning: 'comm', offset: 0, size: 16 },
    { name: 'bucket', meaning: 'bucket', offset: 16, size: 8 },
  ],
};
const meta: LineageMeta = {
  format: 1,
  probe: 'runqueue',
  uuid: '0123456789abcdef0123456789abcdef',
  bootId: 'fedcba9876543210fedcba9876543210',
  createdBoottimeNs: '12345678901234567890',
  createdWallNs: '1700000000000000000',
  cpus: 2,
  scope: '',
  schemaHash: '00000000deadbeef',
  programs: [{ name: 'on_switch', hook: 'tp_btf/sched_switch', tag: '0011223344556677', skipsCounted: true }],
  tables: [table],
};

test('a directory of a layout before this one is read, of a newer one refused with the remedy', () => {
  const written = { ...meta, format: lineageFormat };
  assert.equal(parseLineageMeta(JSON.stringify(written)).format, lineageFormat);
  assert.throws(() => parseLineageMeta(JSON.stringify({ ...meta, format: lineageFormat + 1 })), /upgrade this one/);
  assert.throws(() => parseLineageMeta(JSON.stringify({ ...meta, format: 0 })));
});

test('a meta text survives', () => {
  assert.deepEqual(parseLineageMeta(JSON.stringify(meta)), meta);
  assert.deepEqual(parseTables(JSON.stringify(meta.tables)), meta.tables);
});

test('a damaged meta text is refused, and the field named', () => {
  const bad: [string, object][] = [
    ['format', { format: lineageFormat + 1 }],
    ['uuid', { uuid: '0123' }],
    ['bootId', { bootId: 'FEDCBA9876543210FEDCBA9876543210' }],
    ['createdWallNs', { createdWallNs: '-1' }],
    ['cpus', { cpus: 0 }],
    ['schemaHash', { schemaHash: 'x' }],
    ['tables', { tables: [] }],
    ['name', { tables: [{ ...table, name: 'Run/queue' }] }],
    ['kind', { tables: [{ ...table, kind: 'gauge' }] }],
    ['rows', { tables: [{ ...table, rows: 1.5 }] }],
    ['offset', { tables: [{ ...table, labels: [{ ...table.labels[0], offset: -1 }] }] }],
  ];
  for (const [field, change] of bad) {
    assert.throws(
      () => parseLineageMeta(JSON.stringify({ ...meta, ...change })),
      (error: Error) => error.message.includes(field),
      field,
    );
  }
  for (const text of ['', '{', 'null', '[]', '\0\0\0']) assert.throws(() => parseLineageMeta(text), text);
});

test('the schema hash tells apart what cannot be merged, and nothing else', () => {
  const hash = schemaHash([table]);
  assert.equal(
    schemaHash([
      {
        ...table,
        rows: 9999,
        hints: 2,
        help: 'other words',
        labels: table.labels.map((l) => ({ ...l, offset: l.offset + 8 })),
      },
    ]),
    hash,
  );
  const others = [
    { ...table, name: 'other' },
    { ...table, kind: 'counter' as const },
    { ...table, unit: 'us' },
    { ...table, valueCount: 1 },
    { ...table, labels: [...table.labels].reverse() },
    { ...table, labels: table.labels.slice(1) },
    { ...table, labels: [{ ...table.labels[0]!, meaning: 'u64' }, table.labels[1]!] },
  ];
  for (const other of others) assert.notEqual(schemaHash([other]), hash);
  assert.notEqual(schemaHash([table, table]), hash);
  assert.ok(hash < 1n << 64n);
  assert.equal(hash, 0x32c649efce579ac1n, 'a change of the hash would part every fleet in two');
});

test('callers do not see the bucket as a label', () => {
  assert.deepEqual(
    callerLabels(table).map((l) => l.name),
    ['comm'],
  );
});
