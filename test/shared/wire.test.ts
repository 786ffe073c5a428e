/** What tells the versions of a batch apart. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { tableKinds, type TableKind, type TableSchema } from '../../services/shared/contract/lineage.ts';
import { uncarried, wireFormat, wireNewest, wireOldest } from '../../services/shared/contract/wire.ts';
import { counterTable } from '../aggregator/fixtures.ts';

const of = (kind: string): TableSchema => ({ ...counterTable(kind), kind: kind as TableKind });

test('version 1 carries what is joined by addition, the newest carries every kind', () => {
  const tables = ['counter', 'histogram', 'distinct'].map(of);
  assert.deepEqual(
    uncarried(tables, wireFormat(1)!).map((t) => t.name),
    ['distinct'],
  );
  assert.deepEqual(uncarried(tableKinds.map(of), wireFormat(wireNewest)!), []);
});

test('no other version is read', () => {
  for (const version of [0, wireOldest - 1, wireNewest + 1, 1.5, NaN]) assert.equal(wireFormat(version), undefined);
});
