/** The invariant behind every answer, seen = Σ rows + overflow, checked by the query service: an alarm that reaches the caller. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Query } from '../../services/query/query.ts';
import { ask, row } from './ask.ts';
import { fleetOf, nowMs, syscalls } from './checkpoints.ts';

test('an unbalanced ledger is an alarm with the numbers', () => {
  const fleet = fleetOf([
    { host: 'a', tables: [{ schema: syscalls, rows: [row('read', 'x', 7n)], folded: true, seenMore: 1n }] },
  ]);
  const answer = ask(fleet, 'Query', { range: 'all' });
  assert.equal(answer.coverage!.exact, false);
  assert.ok(
    answer.notes.some((n) => /sealed generations saw 8, their rows hold 7/.test(n)),
    answer.notes.join('\n'),
  );
  const ledger = ask(fleet, 'GetLedger');
  assert.equal(ledger.rows[0]!.balanced, false);
  assert.equal(ledger.exact, false);
});

test('a sealed generation must add up to the last event, a running one is read while it counts', () => {
  const of = (sealed: boolean, seenMore: bigint) =>
    ask(
      fleetOf([{ host: 'a', tables: [{ schema: syscalls, rows: [row('read', 'x', 7n)], sealed, seenMore }] }]),
      'GetLedger',
    );
  assert.deepEqual([of(true, 0n).rows[0]!.balanced, of(true, 0n).exact], [true, true]);
  assert.deepEqual([of(false, 1n).rows[0]!.balanced, of(false, 1n).exact], [true, true]);
  for (const seenMore of [1n, -1n]) {
    const { rows, exact, notes } = of(true, seenMore);
    assert.deepEqual([rows[0]!.balanced, exact], [false, false]);
    assert.match(notes.join(), new RegExp(`sealed generation 1 saw ${7n + seenMore}, its rows hold 7`));
  }
});

test('a broken equation is told to the log, not at every answer', () => {
  const fleet = fleetOf([
    { host: 'a', tables: [{ schema: syscalls, rows: [row('read', 'x', 7n)], folded: true, seenMore: 1n }] },
  ]);
  const core = new Query();
  const reply = ask(fleet, 'Query', { range: 'all' });
  const told = [0, 59_000, 60_000].map((ms) => core.alarms(reply, nowMs + ms).length);
  assert.deepEqual(told, [1, 0, 1]);
  assert.deepEqual(
    core.alarms(
      ask(fleetOf([{ host: 'a', tables: [{ schema: syscalls, rows: [] }] }]), 'Query', { range: 'all' }),
      nowMs,
    ),
    [],
  );
});

test('where skips are unknown nothing claims to be exact', () => {
  const fleet = fleetOf([{ host: 'a', tables: [{ schema: syscalls, rows: [] }], skipped: undefined }]);
  assert.equal(ask(fleet, 'Query', { range: 'all' }).coverage!.exact, false);
  assert.equal(ask(fleet, 'GetLedger').exact, false);
});

test('what was sampled bears its doubt, though nothing was picked yet', () => {
  const sampled = { seen: 1000n, given: 0n, sumSeen: 0n, sumGiven: 0n, weightMax: 2n ** 20n };
  const rows = [row('read', 'nginx', 5000n)];
  const fleet = fleetOf([{ host: 'web-1', tables: [{ schema: syscalls, rows, folded: true, sampled }] }]);
  const { total, residual, rows: shown, coverage } = ask(fleet, 'Query', { groupBy: ['comm'], range: 'all' });
  assert.deepEqual([total, residual, shown[0]!.value], ['6000', '1000', '5000']);
  assert.ok(BigInt(shown[0]!.errorBound) >= 1000n, shown[0]!.errorBound);
  assert.deepEqual([coverage!.sampled, coverage!.samplingFactor, coverage!.exact], [true, `${2 ** 20}`, false]);
  assert.deepEqual([coverage!.ledger!.sampled, coverage!.ledger!.pending], ['1000', '1000']);
  assert.equal(ask(fleet, 'GetLedger').exact, false);
});
