/** The order merge, commit, acknowledge; and commits that fail, conflict, or whose reply is lost. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { step } from '../../services/aggregator/partition.ts';
import { Bench, epochMs, ModelLineage } from './fixtures.ts';

const begin = (options = {}): { kernel: ModelLineage; bench: Bench } => {
  const kernel = new ModelLineage(options);
  return { kernel, bench: new Bench(kernel.partition) };
};

test('acknowledges after the commit, never before', () => {
  const { kernel, bench } = begin();
  kernel.count('a', 1);
  assert.equal(
    bench.batch(kernel.message(1)).some((e) => e.kind === 'ack'),
    false,
  );
  const effects = bench.commit();
  const commitAt = effects.findIndex((e) => e.kind === 'commit');
  const ack = effects.find((e) => e.kind === 'ack');
  assert.ok(commitAt >= 0 && effects.indexOf(ack!) > commitAt);
  assert.deepEqual(ack, { kind: 'ack', sequences: [1n] });
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
  const [third] = step(core, {
    kind: 'conflict',
    found: { version: 1n, commitId: first.request.next.commitId },
    nowMs: epochMs,
  });
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
  assert.deepEqual(step(core, { kind: 'committed', nowMs: epochMs }), [
    { kind: 'ack', sequences: [1n] },
    { kind: 'stopped' },
  ]);
});
