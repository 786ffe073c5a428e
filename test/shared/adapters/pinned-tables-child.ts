/**
 * Run by pinned-tables.test.ts as a process of its own: loads everything, becomes a nobody of the pins' group, then does
 * with a lineage all that an agent does. Prints one line of JSON. Arguments: pin root, lineage, uid, gid.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createPinnedTables } from '../../../services/shared/adapters/libbpf-pinned-tables.ts';
import type { TableImage } from '../../../services/shared/runtime/ports/pinned-tables.ts';

const [pinRoot, directory, uid, gid] = process.argv.slice(2) as [string, string, string, string];
const tables = createPinnedTables(pinRoot);
process.setgroups!([]);
process.setgid!(Number(gid));
process.setuid!(Number(uid));

const status = readFileSync('/proc/self/status', 'utf8');
const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)![1]!;
const lineage = tables.open(directory);
const image: TableImage = { rowsIssued: 0, cells: new Uint32Array(), ledger: new Uint32Array() };
lineage.readTable(0, 0, image);
const locked = lineage.tryLock();
// A flip, the grace period, and the emptying of what was sealed.
lineage.writeControl(lineage.readControl() ^ 1n);
await tables.gracePeriod();
lineage.readTable(0, 0, image);
const first = lineage.readKeys(0, 0, 1, 1);
lineage.clearSlot(0, 0);
process.stdout.write(
  `${JSON.stringify({
    uid: field('Uid'),
    capabilities: [field('CapEff'), field('CapPrm'), field('CapBnd')],
    noNewPrivs: field('NoNewPrivs'),
    listed: tables.list(),
    rows: image.rowsIssued,
    keyBytes: first.length,
    locked,
    empty: lineage.slotEmpty(0, 0),
    programs: lineage.programs().map((p) => [p.program, typeof p.skipped]),
    metaBytes: lineage.metaJson.length,
  })}\n`,
);
lineage.close();
