/** Names of checkpoint blobs: each survives, whatever the host is called, and nothing else parses. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { formatBlobName, parseBlobName, type BlobName } from '../../services/shared/contract/checkpoint.ts';

const host = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1 }),
  fc.constantFrom('a/b', '%2F', 'web-1.example.org', '..', ' ', '{}'),
);
const table = fc.stringMatching(/^[a-z][a-z0-9_]{0,12}(~[0-9a-f]{16})?$/);
const lineage = fc.stringMatching(/^[0-9a-f]{32}$/);
const page = fc.nat(5000);
const plain = { noNullPrototype: true } as const;
const blobName = fc.oneof(
  fc.record({ kind: fc.constant('host' as const), host }, plain),
  fc.record({ kind: fc.constant('series' as const), host, table, page }, plain),
  fc.record({ kind: fc.constant('base' as const), host, table }, plain),
  fc.record(
    {
      kind: fc.constant('last' as const),
      host,
      lineage,
      generation: fc.bigInt({ min: 1n, max: 1n << 56n }),
      table,
      page,
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant('window' as const),
      tier: fc.constantFrom('10s', '1m', '1h'),
      startMs: fc.nat(2 ** 42),
      table,
      part: fc.nat(3),
    },
    plain,
  ),
  fc.constant({ kind: 'quarantine' as const }),
);

test('a blob name survives', () => {
  fc.assert(
    fc.property(blobName, (n) => assert.deepEqual(parseBlobName(formatBlobName(n)), n)),
    { numRuns: 1000 },
  );
});

test('two blobs never share a name', () => {
  fc.assert(
    fc.property(blobName, blobName, (a, b) => {
      if (formatBlobName(a) === formatBlobName(b)) assert.deepEqual(a, b);
    }),
    { numRuns: 1000 },
  );
});

test('a name that no version writes is store/corrupt, never a foreign error', () => {
  const names = fc.oneof(
    fc.string(),
    fc
      .array(
        fc.constantFrom('host', 'series', 'base', 'last', 'window', 'quarantine', '%', '', 'a', '1', '-1', '1.5', 'x'),
        { maxLength: 6 },
      )
      .map((s) => s.join('/')),
  );
  fc.assert(
    fc.property(names, (name) => {
      let parsed: BlobName;
      try {
        parsed = parseBlobName(name);
      } catch (error) {
        assert.ok(error instanceof MusterError && error.code === 'store/corrupt', String(error));
        return;
      }
      assert.equal(formatBlobName(parsed), name);
    }),
    { numRuns: 3000 },
  );
});
