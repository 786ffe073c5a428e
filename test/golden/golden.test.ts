/**
 * Today's code reads the kept bytes of every wire version that it says it reads, and writes each byte for byte the same:
 * an agent told to write an older version is read by the aggregators that wrote these bytes.
 * New samples: add them to samples.ts and run `node --import tsx test/golden/write.ts`, which never changes a file.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeBatch } from '../../services/shared/contract/batch.ts';
import { wireFormat, wireNewest, wireOldest, wireVersions } from '../../services/shared/contract/wire.ts';
import { samplesOf } from './samples.ts';

const folders = readdirSync(import.meta.dirname).filter((name) => /^wire-v\d+$/.test(name));
const filesOf = (folder: string): string[] => readdirSync(join(import.meta.dirname, folder)).sort();
const read = (folder: string, file: string): Uint8Array =>
  Buffer.from(readFileSync(join(import.meta.dirname, folder, file), 'utf8').replace(/\s+/g, ''), 'hex');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('every version from the oldest to the newest is read and kept', () => {
  const all = Array.from({ length: wireNewest - wireOldest + 1 }, (_, i) => wireOldest + i);
  assert.deepEqual(wireVersions, all);
  for (const version of all) assert.ok(folders.includes(`wire-v${version}`), `wire-v${version}`);
});

for (const version of wireVersions) {
  const samples = samplesOf(version);
  const folder = `wire-v${version}`;

  test(`${folder}: all samples are kept`, () => {
    assert.deepEqual(
      filesOf(folder),
      Object.keys(samples)
        .map((name) => `${name}.hex`)
        .sort(),
    );
  });

  for (const [name, sample] of Object.entries(samples)) {
    test(`${folder}/${name} is read and written the same`, () => {
      const bytes = read(folder, `${name}.hex`);
      assert.equal(hex(sample.bytes), hex(bytes), 'written');
      assert.equal(hex(sample.again(bytes)), hex(bytes), 'read and written');
      if (!name.startsWith('batch-')) return;
      const batch = decodeBatch(bytes);
      assert.equal(batch.wireVersion, version);
      for (const block of batch.tables) assert.ok(wireFormat(version)!.decodeColumns(block.columns).rowCount > 0);
    });
  }
}
