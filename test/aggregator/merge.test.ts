import assert from 'node:assert/strict';
import test from 'node:test';
import { Durable, Resync } from '../../services/shared/contract/batch.ts';
import { encodeColumns, emptyColumns } from '../../services/shared/contract/columns.ts';
import { decodeQuarantine } from '../../services/shared/contract/checkpoint-codec.ts';
import { step } from '../../services/aggregator/partition.ts';
import { Bench, counterTable, epochMs, hostRecord, ModelLineage, tells, windowTotals } from './fixtures.ts';

const begin = (options = {}): { kernel: ModelLineage; bench: Bench } => {
  const kernel = new ModelLineage(options);
  return { kernel, bench: new Bench(kernel.partition) };
};

test('counts rows by their labels, and the overflow row', () => {
  const { kernel, bench } = begin();
  kernel.count('nginx', 5);
  kernel.overflow = 2n;
  bench.batch(kernel.message(1));
  kernel.count('nginx', 4);
  kernel.count('redis', 1);
  bench.batch(kernel.message(2, { only: [1, 2] }));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/*': 2n, 'web-1/syscalls/nginx': 9n, 'web-1/syscalls/redis': 1n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
  const [ledger] = hostRecord(bench.blobs).lineages[0]!.ledgers;
  assert.equal(ledger!.seen, 12n);
  assert.equal(ledger!.overflow, 2n);
});

test('rows that decode alike are one series', () => {
  const { kernel, bench } = begin();
  kernel.rows.set(1, { labels: ['a'], value: 3n });
  kernel.rows.set(2, { labels: ['a'], value: 4n });
  bench.batch(kernel.message(1));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 7n });
});

test('counts beyond 2^53 are exact', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 2n ** 60n + 1n);
  bench.batch(kernel.message(1));
  kernel.count('a', 2n ** 33n + 1n);
  bench.batch(kernel.message(2));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 2n ** 60n + 2n ** 33n + 2n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
});

test('a batch of a lineage never introduced asks for a keyframe and counts nothing', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  const effects = bench.batch(kernel.message(1, { only: [1] }));
  assert.equal(tells(effects, 'resync').length, 1);
  assert.equal(tells(effects, 'resync')[0]!.subject, 'muster.v1.resync.web-1');
  bench.commit();
  assert.deepEqual(bench.totals, {});
});

test('a row without a definition is not counted until a keyframe brings it', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1));
  kernel.count('a', 1);
  kernel.count('b', 5);
  const effects = bench.batch(kernel.message(2, { bare: true, keyframe: false, schemaJson: '' }));
  assert.match(Resync.decode(tells(effects, 'resync')[0]!.payload).reason, /row 2 of syscalls/);
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 2n });
  bench.batch(kernel.message(3));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 2n, 'web-1/syscalls/b': 5n });
});

test('a missing message of the agent asks for a keyframe', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1));
  kernel.message(2);
  assert.equal(tells(bench.batch(kernel.message(3, { only: [1] })), 'resync').length, 1);
});

test('acknowledges after the commit, never before', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  assert.equal(bench.batch(kernel.message(1)).some((e) => e.kind === 'ack'), false);
  const effects = bench.commit();
  const commitAt = effects.findIndex((e) => e.kind === 'commit');
  const ack = effects.find((e) => e.kind === 'ack');
  assert.ok(commitAt >= 0 && effects.indexOf(ack!) > commitAt);
  assert.deepEqual(ack, { kind: 'ack', sequences: [1n] });
});

test('poison is counted by reason, acknowledged, and changes no count', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1));
  const good = kernel.message(2);
  const flipped = good.payload.slice();
  flipped[20]! ^= 1;
  const unsorted = encodeColumns({ ...emptyColumns(1, 1, 2), rowCount: 2, ids: Uint32Array.of(2, 2), values: new Uint32Array(4) });
  const beyond = encodeColumns({ ...emptyColumns(1, 1, 1), rowCount: 1, ids: Uint32Array.of(100_000), values: new Uint32Array(2) });
  const block = (columns: Uint8Array, table = 'syscalls'): object => ({ tables: [{ table, ledger: undefined, retiredSeen: 0n, columns: Buffer.from(columns) }] });
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
  assert.equal(Object.values(reasons).reduce((a, b) => a + b), 9n);
  assert.ok(reasons['wire/malformed']! >= 4n && reasons['wire/subject'] === 2n && reasons['wire/host-mismatch'] === 1n, JSON.stringify(reasons, (_, v: unknown) => (typeof v === "bigint" ? Number(v) : v)));
  assert.equal(recent.length, 9);
  assert.equal(hostRecord(bench.blobs).quarantinedBatches, 7n);
});

test('a sealed generation folds once it is complete, and counts nothing again', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  kernel.count('a', 5);
  const final = kernel.message(2, { sealed: true });
  kernel.seal();
  kernel.count('a', 3);
  bench.batch(kernel.message(3));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 13n });
  bench.batch(final);
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 18n });
  assert.equal(hostRecord(bench.blobs).lineages[0]!.foldedThrough, 1n);
  assert.deepEqual([...bench.blobs.keys()].filter((n) => n.startsWith('last/') && n.includes('/1/syscalls/')), []);
  bench.batch(final);
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 18n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
});

test('durable is announced one checkpoint late, with the whole identity', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1, { sealed: true }));
  assert.deepEqual(tells(bench.commit(), 'durable'), []);
  const [told] = tells(bench.commit(), 'durable');
  assert.deepEqual({ ...Durable.decode(told!.payload) }, { bootId: Buffer.alloc(16, 9), lineageUuid: Buffer.alloc(16, 1), generation: 1n });
  assert.deepEqual(bench.commit(), [], 'nothing is left to commit');
});

test('an incomplete sealed generation is not folded, and asked for again', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  kernel.count('b', 10);
  const effects = bench.batch(kernel.message(1, { sealed: true, only: [1], schemaJson: JSON.stringify(kernel.tables) }));
  assert.match(Resync.decode(tells(effects, 'resync')[0]!.payload).reason, /sealed generation 1/);
  bench.commit();
  assert.deepEqual(tells(bench.commit(), 'durable'), []);
  assert.equal(hostRecord(bench.blobs).lineages[0]!.foldedThrough, 0n);
});

test('a generation that never came is counted as lost', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  kernel.count('a', 7);
  kernel.seal();
  kernel.seal();
  kernel.count('a', 1);
  bench.batch(kernel.message(3));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 11n });
  const ledgers = hostRecord(bench.blobs).lineages[0]!.ledgers;
  assert.equal(ledgers.reduce((sum, l) => sum + l.lost, 0n), 7n);
  assert.equal(ledgers.reduce((sum, l) => sum + l.seen, 0n), 18n);
});

test('a lineage first seen when already old counts towards lifetime only', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1000);
  bench.batch(kernel.message(3600));
  kernel.count('a', 1);
  bench.batch(kernel.message(3601));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 1001n });
  assert.deepEqual(windowTotals(bench.blobs), { 'web-1/syscalls/a': 1n });
  assert.deepEqual(hostRecord(bench.blobs).unknown.map((u) => u.reason), ['unknown-history']);
});

test('an upgrade is not an overlap: both lineages count, the last batch of the old one included', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(100, { readBoottimeNs: 1_000_000_000n }));
  const upgraded = new ModelLineage({ uuid: 2, createdS: 101 });
  upgraded.count('a', 5);
  bench.batch(upgraded.message(102));
  // The old maps, detached, read once more: grew before the new ones were made, and not since.
  kernel.count('a', 1);
  bench.batch(kernel.message(103, { sealed: true }));
  bench.batch(kernel.message(104, { sealed: true }));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 16n });
  const record = hostRecord(bench.blobs);
  assert.deepEqual(record.lineages.map((l) => l.state), ['ended', 'live']);
  assert.deepEqual(record.unknown.map((u) => u.reason), ['detached']);
});

test('a reboot ends the lineage and is a dated window of unknown', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  const next = new ModelLineage({ uuid: 2, boot: 8, createdS: 50 });
  next.count('a', 5);
  bench.batch(next.message(51));
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 15n });
  const [span] = hostRecord(bench.blobs).unknown;
  assert.equal(span!.reason, 'reboot');
  assert.equal(span!.endWallNs - span!.startWallNs, 49_000_000_000n);
});

test('two lineages that both grow count the same events: the younger is quarantined, its count taken back', () => {
  const { kernel, bench } = begin();
  const younger = new ModelLineage({ uuid: 2, createdS: 2 });
  for (let s = 1; s <= 5; s++) {
    kernel.count('a', 10);
    bench.batch(kernel.message(s));
    if (s < 2) continue;
    younger.count('a', 10);
    bench.batch(younger.message(s + 0.5));
  }
  bench.commit();
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 50n });
  assert.deepEqual(windowTotals(bench.blobs), bench.totals);
  const record = hostRecord(bench.blobs);
  assert.deepEqual(record.lineages.map((l) => l.state), ['live', 'quarantined']);
  assert.equal(record.lineages[1]!.ledgers.reduce((sum, l) => sum + l.quarantined, 0n), 40n);
  assert.ok(bench.effects.some((e) => e.kind === 'alarm'));
});

test('a table of the same name with other labels is kept apart', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 10);
  bench.batch(kernel.message(1));
  const changed = new ModelLineage({ uuid: 2, createdS: 2, tables: [counterTable('syscalls', ['process'])] });
  changed.count('a', 3);
  bench.batch(changed.message(3));
  bench.commit();
  const keys = hostRecord(bench.blobs).lineages.map((l) => l.tableKeys[0]!);
  assert.equal(keys[0], 'syscalls');
  assert.match(keys[1]!, /^syscalls~[0-9a-f]{16}$/);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 10n, [`web-1/${keys[1]}/a`]: 3n });
});

test('a clock far off is dated by the bus, and said so; a late batch is not', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1, { readWallNs: BigInt(epochMs + 86_400_000) * 1_000_000n }), epochMs + 1_000);
  bench.commit();
  assert.deepEqual([...bench.blobs.keys()].filter((n) => n.startsWith('window/')), [`window/10s/${epochMs}/syscalls`]);
  assert.equal(hostRecord(bench.blobs).clockSkewMs, 86_399_000n);
});

test('a window that was closed takes late increments in a part beside it, and goes with its retention', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1));
  bench.commit();
  bench.nowMs += 60_000;
  kernel.count('a', 1);
  bench.batch(kernel.message(60));
  bench.commit();
  kernel.count('a', 1);
  bench.batch(kernel.message(2), epochMs + 2_000);
  bench.commit();
  assert.ok(bench.blobs.has(`window/10s/${epochMs}/syscalls/1`));
  assert.deepEqual(windowTotals(bench.blobs), { 'web-1/syscalls/a': 3n });
  bench.nowMs += 3_700_000;
  bench.commit();
  assert.deepEqual([...bench.blobs.keys()].filter((n) => n.startsWith('window/')), []);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 3n });
});

test('a conflict with another aggregator halts; with a commit of its own whose reply was lost it goes on', () => {
  const { kernel, bench } = begin();
  const { core } = bench;
  kernel.count('a', 1);
  step(core, { kind: 'batch', ...kernel.message(1), sequence: 1n, nowMs: epochMs });
  const [first] = step(core, { kind: 'commit-due', nowMs: epochMs });
  assert.equal(first?.kind, 'commit');
  bench.store(first.request);
  step(core, { kind: 'commit-failed', nowMs: epochMs });
  const [second] = step(core, { kind: 'commit-due', nowMs: epochMs });
  assert.equal(second?.kind, 'commit');
  assert.deepEqual(second.request.expected, undefined);
  const [third] = step(core, { kind: 'conflict', found: { version: 1n, commitId: first.request.next.commitId }, nowMs: epochMs });
  assert.equal(third?.kind, 'commit');
  assert.equal(third.request.next.version, 2n);
  const effects = step(core, { kind: 'committed', nowMs: epochMs });
  assert.deepEqual(effects, [{ kind: 'ack', sequences: [1n] }]);
  kernel.count('a', 1);
  step(core, { kind: 'batch', ...kernel.message(2), sequence: 2n, nowMs: epochMs });
  step(core, { kind: 'commit-due', nowMs: epochMs });
  const [halt] = step(core, { kind: 'conflict', found: { version: 3n, commitId: 'another' }, nowMs: epochMs });
  assert.equal(halt?.kind, 'halt');
  assert.equal(halt.error.code, 'store/conflict');
});

test('a checkpoint of a newer format is refused', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  bench.batch(kernel.message(1));
  bench.commit();
  const head = bench.head!;
  bench.head = { ...head, head: Uint8Array.from([0x08, 99, ...head.head.slice(2)]) };
  bench.effects = [];
  bench.start();
  const halt = bench.effects.find((e) => e.kind === 'halt');
  assert.equal(halt?.error.code, 'store/newer-format');
});

test('what a failed commit carried is in the next one, and stop ends when all is durable', () => {
  const { kernel, bench } = begin();
  const { core } = bench;
  kernel.count('a', 1);
  step(core, { kind: 'batch', ...kernel.message(1), sequence: 1n, nowMs: epochMs });
  step(core, { kind: 'commit-due', nowMs: epochMs });
  step(core, { kind: 'commit-failed', nowMs: epochMs });
  const stop = step(core, { kind: 'stop', nowMs: epochMs });
  assert.equal(stop[0]?.kind, 'commit');
  bench.store(stop[0].request);
  assert.deepEqual(bench.totals, { 'web-1/syscalls/a': 1n });
  assert.deepEqual(step(core, { kind: 'committed', nowMs: epochMs }), [{ kind: 'ack', sequences: [1n] }, { kind: 'stopped' }]);
});
