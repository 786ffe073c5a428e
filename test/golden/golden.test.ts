/**
 * Today's code reads the kept bytes of every wire version, and writes today's version byte for byte the same.
 * New samples: add them to samples.ts and run `node --import tsx test/golden/write.ts`, which never changes a file.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeBatch, wireVersion } from '../../services/shared/contract/batch.ts';
import { samples } from './samples.ts';

const folders = readdirSync(import.meta.dirname).filter((name) => /^wire-v\d+$/.test(name));
const read = (folder: string, file: string): Uint8Array =>
  Buffer.from(readFileSync(join(import.meta.dirname, folder, file), 'utf8').replace(/\s+/g, ''), 'hex');

test('the samples of this wire version are kept, all of them', () => {
  const files = readdirSync(join(import.meta.dirname, `wire-v${wireVersion}`)).sort();
  assert.deepEqual(
    files,
    Object.keys(samples)
      .map((name) => `${name}.hex`)
      .sort(),
  );
});

for (const folder of folders) {
  for (const file of readdirSync(join(import.meta.dirname, folder))) {
    const name = file.replace(/\.hex$/, '');
    test(`${folder}/${name} is read`, () => {
      const bytes = read(folder, file);
      const sample = samples[name];
      if (name.startsWith('batch-')) assert.equal(decodeBatch(bytes).lineage?.uuid.length, 16);
      if (folder !== `wire-v${wireVersion}` || !sample) return;
      assert.equal(Buffer.from(sample.bytes).toString('hex'), Buffer.from(bytes).toString('hex'), 'written the same');
      assert.equal(
        Buffer.from(sample.again(bytes)).toString('hex'),
        Buffer.from(bytes).toString('hex'),
        'read and written the same',
      );
    });
  }
}
