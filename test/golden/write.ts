/** Keeps the bytes of samples that have no file yet: `node --import tsx test/golden/write.ts`. Never changes a file. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wireVersions } from '../../services/shared/contract/wire.ts';
import { samplesOf } from './samples.ts';

for (const version of wireVersions) {
  const folder = join(import.meta.dirname, `wire-v${version}`);
  mkdirSync(folder, { recursive: true });
  for (const [name, sample] of Object.entries(samplesOf(version))) {
    const path = join(folder, `${name}.hex`);
    if (existsSync(path)) continue;
    const lines =
      Buffer.from(sample.bytes)
        .toString('hex')
        .match(/.{1,96}/g) ?? [];
    writeFileSync(path, `${lines.join('\n')}\n`);
    console.log(`kept wire-v${version}/${name}.hex (${sample.bytes.length} bytes)`);
  }
}
