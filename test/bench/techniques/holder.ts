/**
 * A process to be killed: loads and attaches a counting program, prints "ready", and answers each line with what it has
 * counted. `pinned DIR`: ours, under a pin root; a second one finds what the first had loaded. `unpinned`: a hash of its own.
 */
import { createInterface } from 'node:readline';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { LibbpfProbeKernel } from '../../../services/loader/adapters/libbpf-probe-kernel.ts';
import { PinRoot } from '../../../services/loader/adapters/pin-root.ts';
import { resolveScope } from '../../../services/loader/adapters/host.ts';
import { want } from '../../../services/loader/load/wanted.ts';
import { bringUp } from '../../../services/loader/loader.ts';
import { readObject } from '../../../services/loader/object/object.ts';
import { possibleCpus } from '../../../services/shared/adapters/libbpf.ts';
import { createPinnedTables } from '../../../services/shared/adapters/libbpf-pinned-tables.ts';
import { silentLog } from '../../../services/shared/runtime/log.ts';
import { compileProbe } from '../../kernel/probe.ts';
import { firstNumber, Loaded } from './form.ts';

const [mode, directory] = process.argv.slice(2);
const last = firstNumber + 100;

function pinnedCount(): () => bigint {
  const known = existsSync(join(directory!, 'counts')) ? readdirSync(join(directory!, 'counts')) : [];
  let [uuid] = known;
  if (uuid === undefined) {
    const root = PinRoot.acquire(directory!, 0);
    const bytes = compileProbe('../bench/kernel/counts.bpf.c');
    const wanted = want('counts', readObject(bytes), possibleCpus(), resolveScope(undefined), new Map());
    ({ uuid } = bringUp(new LibbpfProbeKernel(root), wanted, bytes, silentLog));
  }
  const lineage = createPinnedTables(directory!).open(`counts/${uuid}`);
  const image = { rowsIssued: 0, cells: new Uint32Array(0), ledger: new Uint32Array(0) };
  return () => {
    lineage.readTable(0, 0, image);
    let sum = 0n;
    for (let i = 0; i < possibleCpus(); i++)
      sum += BigInt(image.ledger[i * 10]!) | (BigInt(image.ledger[i * 10 + 1]!) << 32n);
    return sum;
  };
}

function unpinnedCount(): () => bigint {
  const loaded = Loaded.load({ name: '', ours: false, program: 'on_shared', maps: [] });
  return () => [...loaded.hash('shared')].reduce((n, [key, v]) => (key >= firstNumber && key < last ? n + v : n), 0n);
}

const count = mode === 'pinned' ? pinnedCount() : unpinnedCount();
process.stdout.write('ready\n');
for await (const _ of createInterface({ input: process.stdin })) process.stdout.write(`${count()}\n`);
