/** Subjects: any host name comes back, and partitions never move. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  batchSubject,
  decodeHost,
  durableSubject,
  encodeHost,
  parseBatchSubject,
  partitionCount,
  partitionOf,
  refusedSubject,
  resyncSubject,
} from '../../services/shared/contract/subjects.ts';

const host = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
  fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }),
  fc.constantFrom('web-1.example.org', '*', '>', 'a b', '=2E', '\uFEFFbom', '\0', '..', 'Ω', '=', '-', '_'),
);

test('a host name survives its subject, whatever its bytes', () => {
  fc.assert(
    fc.property(host, (h) => {
      assert.equal(decodeHost(encodeHost(h)), h);
      assert.deepEqual(parseBatchSubject(batchSubject(h)), { partition: partitionOf(h), host: h });
      for (const subject of [batchSubject(h), resyncSubject(h), durableSubject(h), refusedSubject(h)])
        assert.match(subject, /^[A-Za-z0-9_=.-]+$/);
      assert.equal(batchSubject(h).split('.').length, 5, 'the host is one token');
    }),
    { numRuns: 1000 },
  );
});

test('a token decodes only when encodeHost writes it', () => {
  const token = fc.oneof(
    fc.string({ unit: fc.constantFrom('a', '=', '2', 'E', 'e', 'F', '.', '-', 'Z', '%') }),
    fc.string(),
  );
  fc.assert(
    fc.property(token, (t) => {
      const h = decodeHost(t);
      if (h !== undefined) assert.equal(encodeHost(h), t);
    }),
    { numRuns: 2000 },
  );
  for (const t of ['', '=2e', '=41', '=FF', '=', 'a.b', 'a*', '=C3=28']) assert.equal(decodeHost(t), undefined, t);
});

test('a subject with another partition, or no batch subject, is refused', () => {
  const good = batchSubject('web-1');
  const other = (partitionOf('web-1') + 1) % partitionCount;
  for (const s of [
    `muster.v1.batch.${other}.web-1`,
    `${good}.more`,
    good.replace('v1', 'v2'),
    '',
    'muster.v1.batch..web-1',
    good.replace('batch', 'resync'),
  ]) {
    assert.equal(parseBatchSubject(s), undefined, s);
  }
});

test('partitions of known hosts never change', () => {
  const golden: Record<string, number> = { 'web-1': 41, 'web-2': 41, 'db.example.org': 18, Ωmega: 9, localhost: 43 };
  for (const [h, partition] of Object.entries(golden)) assert.equal(partitionOf(h), partition, h);
});

test('hosts spread over all partitions', () => {
  const held = new Array<number>(partitionCount).fill(0);
  for (let i = 0; i < 6400; i++) held[partitionOf(`host-${i}`)]!++;
  assert.ok(Math.min(...held) > 50 && Math.max(...held) < 160, held.join(' '));
});
