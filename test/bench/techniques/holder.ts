/**
 * A process to be killed: loads and attaches a counting program, prints "ready", and answers each line with what it has
 * counted. `pinned DIRECTORY`: ours; a second process finds what the first one loaded. `unpinned`: a hash of its own.
 */
import { createInterface } from 'node:readline';
import { form, Loaded, sum } from './form.ts';
import { countsOf, openCounts } from './pinned.ts';

const [mode, directory] = process.argv.slice(2);

function counter(): () => number {
  if (mode === 'pinned') {
    const lineage = openCounts(directory!);
    return () => countsOf(lineage);
  }
  const loaded = Loaded.load(form('', 'on_shared', 'shared'));
  return () => sum(loaded.hash('shared').values());
}

const count = counter();
process.stdout.write('ready\n');
for await (const _ of createInterface({ input: process.stdin })) process.stdout.write(`${count()}\n`);
