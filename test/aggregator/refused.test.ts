/** What merging refuses: messages that are not right in whole. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Refused } from '../../services/shared/contract/batch.ts';
import { encodeColumns, emptyColumns } from '../../services/shared/contract/columns.ts';
import { decodeQuarantine } from '../../services/shared/contract/checkpoint-codec.ts';
import { wireNewest } from '../../services/shared/contract/wire.ts';
import { createScratch, receive } from '../../services/aggregator/bus/receive.ts';
import { Bench, epochMs, hostRecord, ModelLineage, tells } from './fixtures.ts';

const begin = (options = {}): { kernel: ModelLineage; bench: Bench } => {
  const kernel = new ModelLineage(options);
  return { kernel, bench: new Bench(kernel.partition) };
};

test('poison is counted by reason, acknowledged, and changes no count', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1));
  const good = kernel.message(2);
  const flipped = good.payload.slice();
  flipped[20]! ^= 1;
  const unsorted = encodeColumns({
    ...emptyColumns(1, 1, 2),
    rowCount: 2,
    ids: Uint32Array.of(2, 2),
    values: new Uint32Array(4),
  });
  const beyond = encodeColumns({
    ...emptyColumns(1, 1, 1),
    rowCount: 1,
    ids: Uint32Array.of(100_000),
    values: new Uint32Array(2),
  });
  const block = (columns: Uint8Array, table = 'syscalls'): object => ({
    tables: [{ table, ledger: undefined, retiredSeen: 0n, columns: Buffer.from(columns) }],
  });
  bench.batch({ subject: good.subject, payload: flipped });
  bench.batch({ subject: good.subject, payload: Buffer.from('garbage') });
  bench.batch({ subject: 'muster.v1.batch.0.other', payload: good.payload });
  bench.batch({ subject: good.subject.replace('web-1', 'web-2'), payload: good.payload });
  bench.batch(kernel.message(3, { host: 'web-2' }));
  bench.batch(kernel.message(3, block(unsorted)));
  bench.batch(kernel.message(3, block(beyond)));
  bench.batch(kernel.message(3, block(unsorted.slice(0, 0), 'nosuch')));
  bench.batch(kernel.message(3, { wireVersion: 1, schemaJson: '[]' }));
  const effects = bench.commit();
  assert.equal(effects.find((e) => e.kind === 'ack')?.sequences.length, 10);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 1n });
  const { reasons, recent } = decodeQuarantine(bench.blobs.get('quarantine')!);
  assert.equal(
    Object.values(reasons).reduce((a, b) => a + b),
    9n,
  );
  assert.deepEqual(reasons, { 'wire/malformed': 5n, 'wire/subject': 1n, 'wire/host-mismatch': 2n, 'wire/schema': 1n });
  assert.equal(recent.length, 9);
  assert.equal(hostRecord(bench.blobs).quarantinedBatches, 7n);
});

test('a newer wire version is refused, counted, and its host told what to do; not at every message', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 3);
  bench.batch(kernel.message(1));
  kernel.count('a', 4);
  const refusals = (atMs: number): Refused[] =>
    tells(bench.batch(kernel.message(2, { wireVersion: wireNewest + 1 }), atMs), 'refused').map((t) =>
      Refused.decode(t.payload),
    );
  const [told, ...more] = refusals(epochMs);
  assert.equal(told?.reason, 'wire/version');
  assert.match(told.detail, /upgrade the aggregator, or start the agent with --wire-version 2/);
  assert.deepEqual([more.length, refusals(epochMs + 29_000).length, refusals(epochMs + 30_000).length], [0, 0, 1]);
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 3n });
  assert.equal(hostRecord(bench.blobs).quarantinedBatches, 3n);
  // Upgraded: what was refused is in the next batch.
  bench.start();
  bench.batch(kernel.message(3));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 7n });
});

test('a kind of table that its wire version has not is refused', () => {
  const kernel = new ModelLineage();
  kernel.count('a', 3);
  const tables = kernel.tables.map((t) => ({ ...t, kind: 'distinct' as const }));
  const known = { hash: kernel.schemaHash, tables, takes: () => true };
  const { subject, payload } = kernel.message(1, { wireVersion: 1, schemaJson: '' });
  const checked = receive(subject, payload, kernel.partition, createScratch(), () => known);
  assert.ok(checked.kind === 'poison' && checked.reason === 'wire/schema');
  assert.equal(checked.detail, 'table syscalls: wire version 1 has no kind distinct');
});
