/** Keeps the bytes of samples that have no file yet: `node --import tsx test/golden/write.ts`. Never changes a file. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wireVersion } from '../../services/shared/contract/batch.ts';
import { samples } from './samples.ts';

const folder = join(import.meta.dirname, `wire-v${wireVersion}`);
mkdirSync(folder, { recursive: true });
for (const [name, sample] of Object.entries(samples)) {
  const path = join(folder, `${name}.hex`);
  if (existsSync(path)) continue;
  const lines =
    Buffer.from(sample.bytes)
      .toString('hex')
      .match(/.{1,96}/g) ?? [];
  writeFileSync(path, `${lines.join('\n')}\n`);
  console.log(`kept wire-v${wireVersion}/${name}.hex (${sample.bytes.length} bytes)`);
}
