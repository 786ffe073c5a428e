/** kernel/counts.bpf.c under a pin root, loaded as the loader does it and read as the agent does it. */
import { LibbpfProbeKernel } from '../../../services/loader/adapters/libbpf-probe-kernel.ts';
import { PinRoot } from '../../../services/loader/adapters/pin-root.ts';
import { resolveScope } from '../../../services/loader/adapters/host.ts';
import { want } from '../../../services/loader/load/wanted.ts';
import { bringUp } from '../../../services/loader/loader.ts';
import { readObject } from '../../../services/loader/object/object.ts';
import { possibleCpus } from '../../../services/shared/adapters/libbpf.ts';
import { createPinnedTables } from '../../../services/shared/adapters/libbpf-pinned-tables.ts';
import { silentLog } from '../../../services/shared/runtime/log.ts';
import type { PinnedLineage, TableImage } from '../../../services/shared/runtime/ports/pinned-tables.ts';
import { compileProbe } from '../../kernel/probe.ts';

/** Finds the probe under the root, or loads it. */
export function openCounts(directory: string): PinnedLineage {
  const tables = createPinnedTables(directory);
  const [known] = tables.list();
  if (known !== undefined) return tables.open(known);
  const root = PinRoot.acquire(directory, 0);
  try {
    return tables.open(loadCounts(root));
  } finally {
    root.release();
  }
}

/** Its directory below the root. */
function loadCounts(root: PinRoot): string {
  const bytes = compileProbe('../bench/kernel/counts.bpf.c');
  const wanted = want('counts', readObject(bytes), possibleCpus(), resolveScope(undefined), new Map());
  const { uuid } = bringUp(new LibbpfProbeKernel(root), wanted, bytes, silentLog);
  return `counts/${uuid}`;
}

export function removeCounts(directory: string): void {
  const root = PinRoot.acquire(directory, 0);
  root.removeAll();
  root.release();
}

export const newImage = (): TableImage => ({ rowsIssued: 0, cells: new Uint32Array(0), ledger: new Uint32Array(0) });

/** Everything counted: the cells of all rows, the overflow's included. */
export function countsOf(lineage: PinnedLineage): number {
  const image = newImage();
  lineage.readTable(0, 0, image);
  let sum = 0n;
  for (let i = 0; i < possibleCpus() * (image.rowsIssued + 1); i++)
    sum += BigInt(image.cells[i * 2]!) | (BigInt(image.cells[i * 2 + 1]!) << 32n);
  return Number(sum);
}
