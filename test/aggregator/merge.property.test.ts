/**
 * Laws of the merge: what a fleet's batches add up to does not depend on how often, in which order, or by which
 * process they were merged, as long as the last word of each lineage arrives.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Bench, epochMs, lifetimeTotals, ModelLineage, windowTotals } from './fixtures.ts';

interface Act {
  /** Label counted, and how much; then a read. */
  readonly label: number;
  readonly n: number;
  readonly seal: boolean;
  readonly partial: boolean;
}

const acts = fc.array(
  fc.record({ label: fc.nat(4), n: fc.integer({ min: 1, max: 2 ** 31 }), seal: fc.boolean(), partial: fc.boolean() }),
  { minLength: 1, maxLength: 12 },
);

/** All messages of a run, and its totals. Generations seal now and then, as the protocol allows: after a final batch. */
function run(list: readonly Act[]): {
  kernel: ModelLineage;
  messages: { subject: string; payload: Uint8Array; generation: bigint }[];
  totals: Record<string, bigint>;
} {
  const kernel = new ModelLineage();
  const messages: { subject: string; payload: Uint8Array; generation: bigint }[] = [];
  const totals: Record<string, bigint> = {};
  let atS = 1;
  let sealed = false;
  for (const act of list) {
    const label = `label-${act.label}`;
    kernel.count(label, act.n);
    totals[`web-1/syscalls/${label}`] = (totals[`web-1/syscalls/${label}`] ?? 0n) + BigInt(act.n);
    const changed = [...kernel.rows].find(([, r]) => r.labels[0] === label)![0];
    messages.push({
      ...kernel.message((atS += 0.4), act.partial ? { only: [changed] } : {}),
      generation: kernel.generation,
    });
    if (act.seal && !sealed) {
      messages.push({ ...kernel.message((atS += 0.1), { sealed: true }), generation: kernel.generation });
      kernel.seal();
      sealed = true;
    }
  }
  messages.push({ ...kernel.message(atS + 1), generation: kernel.generation });
  return { kernel, messages, totals: Object.fromEntries(Object.entries(totals).sort(([a], [b]) => (a < b ? -1 : 1))) };
}

test('any order and any number of repeats give the same lifetime totals; windows add up to them', () => {
  fc.assert(
    fc.property(acts, fc.array(fc.nat(), { maxLength: 40 }), (list, picks) => {
      const { kernel, messages, totals } = run(list);
      const bench = new Bench(kernel.partition);
      // A keyframe introduces the lineage, the last of all; then anything, then each once more, backwards.
      bench.batch(messages.at(-1)!, epochMs + 5_000);
      for (const pick of picks) bench.batch(messages[pick % messages.length]!, epochMs + 5_000);
      for (const message of [...messages].reverse()) bench.batch(message, epochMs + 5_000);
      bench.commit();
      bench.commit();
      assert.deepEqual(lifetimeTotals(bench.blobs), totals);
      assert.deepEqual(windowTotals(bench.blobs), totals);
      assert.ok(!bench.effects.some((e) => e.kind === 'alarm' || e.kind === 'halt'));
    }),
    { numRuns: 150 },
  );
});

test('lost batches are made good by later keyframes of their generation', () => {
  fc.assert(
    fc.property(acts, fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), (list, lost) => {
      const { kernel, messages, totals } = run(list);
      const bench = new Bench(kernel.partition);
      const finals = messages.filter((m, i) => messages[i + 1]?.generation !== m.generation);
      for (const [i, message] of messages.entries())
        if (!lost[i % lost.length] || finals.includes(message)) bench.batch(message, epochMs + 5_000);
      bench.commit();
      assert.deepEqual(lifetimeTotals(bench.blobs), totals);
    }),
    { numRuns: 100 },
  );
});

test('a core restored from its checkpoint goes on as the one that wrote it', () => {
  fc.assert(
    fc.property(acts, fc.nat(30), fc.array(fc.nat(), { maxLength: 10 }), (list, cut, repeats) => {
      const { kernel, messages, totals } = run(list);
      const living = new Bench(kernel.partition);
      const dying = new Bench(kernel.partition);
      const at = cut % messages.length;
      for (const message of messages.slice(0, at)) for (const b of [living, dying]) b.batch(message, epochMs + 5_000);
      for (const b of [living, dying]) b.commit();
      // What comes after the checkpoint dies with the process, and is delivered again.
      for (const pick of repeats) dying.batch(messages[pick % messages.length]!, epochMs + 5_000);
      dying.start();
      for (const message of messages.slice(at)) for (const b of [living, dying]) b.batch(message, epochMs + 5_000);
      for (const pick of repeats)
        for (const b of [living, dying]) b.batch(messages[pick % messages.length]!, epochMs + 5_000);
      for (const b of [living, dying]) {
        b.commit();
        b.commit();
      }
      assert.deepEqual(lifetimeTotals(dying.blobs), lifetimeTotals(living.blobs));
      assert.deepEqual(lifetimeTotals(dying.blobs), totals);
      assert.deepEqual(windowTotals(dying.blobs), windowTotals(living.blobs));
      const host = (b: Bench): Uint8Array => b.blobs.get('host/web-1')!;
      assert.deepEqual(host(dying), host(living));
      const rows = (b: Bench): [string, Uint8Array][] =>
        [...b.blobs].filter(([n]) => !n.startsWith('window/')).sort(([a], [c]) => (a < c ? -1 : 1));
      assert.deepEqual(rows(dying), rows(living));
    }),
    { numRuns: 100 },
  );
});

test('rubbish changes no count and crashes nothing', () => {
  fc.assert(
    fc.property(
      acts,
      fc.array(fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 20 }),
      (list, flips) => {
        const { kernel, messages, totals } = run(list);
        const bench = new Bench(kernel.partition);
        for (const [i, message] of messages.entries()) {
          const payload = message.payload.slice();
          for (const [which, at, mask] of flips)
            if (which % messages.length === i) payload[at % payload.length]! ^= mask;
          if (Buffer.compare(payload, message.payload) !== 0) bench.batch({ ...message, payload }, epochMs + 5_000);
          bench.batch(message, epochMs + 5_000);
        }
        bench.commit();
        assert.deepEqual(lifetimeTotals(bench.blobs), totals);
      },
    ),
    { numRuns: 100 },
  );
});
