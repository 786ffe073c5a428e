/** Law: the rows a caller holds after an update, sorted, are those of the answer it was made from. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { emptyCoverage } from '../../services/query/answer/coverage.ts';
import { updateOf, watched, type Watched } from '../../services/query/answer/watch.ts';
import { Watches } from '../../services/query/watches.ts';
import type { QueryRow, WatchRequest, WatchResponse } from '../../services/shared/contract/query.ts';

const answerOf = (values: Readonly<Record<string, number>>) => {
  const rows = Object.entries(values)
    .map(([comm, n]): QueryRow => ({
      labels: { comm },
      value: String(n),
      ratePerSecond: n / 2,
      hosts: 1,
      errorBound: '0',
    }))
    .sort((a, b) => Number(b.value) - Number(a.value) || (a.labels['comm']! < b.labels['comm']! ? -1 : 1));
  const empty = { nextPageToken: '', total: '0', residual: '0', totalErrorBound: '0', unit: '', notes: [] };
  return { ...empty, rows, coverage: { ...emptyCoverage, seconds: 2 }, metric: 'm' };
};
const counts = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', '__proto__', ''), fc.integer({ min: 1, max: 3 }));

function apply(held: Map<string, QueryRow>, update: WatchResponse): void {
  if (update.whole) held.clear();
  const key = (labels: QueryRow['labels']): string => JSON.stringify(labels);
  for (const { labels } of update.removed) assert.ok(held.delete(key(labels)), 'removed what was not there');
  for (const row of update.rows) held.set(key(row.labels), row);
}
const sorted = (rows: Iterable<QueryRow>): string[] => [...rows].map((r) => JSON.stringify(r)).sort();

test('updates applied in order give each answer', () => {
  fc.assert(
    fc.property(fc.array(counts, { minLength: 1, maxLength: 8 }), (answers) => {
      const held = new Map<string, QueryRow>();
      let before: Watched | undefined;
      for (const values of answers) {
        const after = watched(answerOf(values), 0);
        apply(held, updateOf(before, after));
        assert.deepEqual(sorted(held.values()), sorted(after.answer.rows));
        before = after;
      }
    }),
  );
});

test('streams of any pace that share a topic each hold the newest answer they were given', () => {
  const request = { query: undefined, interval: '1s' } as WatchRequest;
  fc.assert(
    fc.property(fc.array(fc.record({ counts, takes: fc.array(fc.nat(3)) }), { maxLength: 12 }), (rounds) => {
      const watches = new Watches(1000);
      const streams = Array.from({ length: 4 }, () => ({
        stream: watches.open(request).stream,
        held: new Map<string, QueryRow>(),
      }));
      const { topic } = streams[0]!.stream;
      assert.ok(streams.every((s) => s.stream.topic === topic));
      rounds.forEach((round, i) => {
        const nowMs = (i + 1) * 1000;
        watches.answered(topic, `${i}`, answerOf(round.counts), nowMs);
        for (const s of round.takes) {
          const update = watches.next(streams[s]!.stream, nowMs);
          if (update) apply(streams[s]!.held, update.message);
          assert.deepEqual(sorted(streams[s]!.held.values()), sorted(topic.latest!.answer.rows));
          assert.equal(watches.next(streams[s]!.stream, nowMs + 999), undefined, 'not before its interval');
        }
      });
      for (const { stream } of streams) watches.close(stream);
      assert.deepEqual([...watches.topics], []);
    }),
  );
});

test('a clock that was set back stops no stream', () => {
  const watches = new Watches(1000);
  const { stream } = watches.open({ query: undefined, interval: '1s' } as WatchRequest);
  watches.answered(stream.topic, 'a', answerOf({ a: 1 }), 3_600_000);
  assert.ok(watches.next(stream, 3_600_000));
  assert.ok(watches.needsAnswer(stream.topic, 'a', 0));
  watches.answered(stream.topic, 'b', answerOf({ a: 2 }), 0);
  assert.equal(watches.next(stream, 0)?.message.rows.length, 1);
  assert.equal(watches.needsAnswer(stream.topic, 'b', 1000), false);
});
