/**
 * A copy of the sources with one text changed, in a temporary folder: the bug exists there and nowhere in the product.
 * The copy runs the simulation like the original; packages come from the original's node_modules.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { runSeed } from '../simulation/run.ts';

export interface PlantedBug {
  readonly name: string;
  readonly file: string;
  /** Occurs exactly once in the file; else the bug must be written anew. */
  readonly find: string;
  readonly replace: string;
}

const root = join(import.meta.dirname, '../..');

/** The simulation with the bug planted (none: as it is), and what removes the copy. */
export async function plant(bug: PlantedBug | undefined): Promise<{ runSeed: typeof runSeed; remove: () => void }> {
  const copy = mkdtempSync(join(tmpdir(), 'muster-planted-'));
  const remove = (): void => rmSync(copy, { recursive: true, force: true });
  try {
    for (const folder of ['services', 'test/simulation'])
      cpSync(join(root, folder), join(copy, folder), { recursive: true });
    for (const file of ['package.json', 'tsconfig.json']) cpSync(join(root, file), join(copy, file));
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    if (bug) {
      const path = join(copy, bug.file);
      const text = readFileSync(path, 'utf8');
      const found = text.split(bug.find).length - 1;
      if (found !== 1)
        throw new Error(`planted bug "${bug.name}": its text occurs ${found} times in ${bug.file}; write it anew`);
      writeFileSync(
        path,
        text.replace(bug.find, () => bug.replace),
      );
    }
    const module = (await import(pathToFileURL(join(copy, 'test/simulation/run.ts')).href)) as {
      runSeed: typeof runSeed;
    };
    return { runSeed: module.runSeed, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
