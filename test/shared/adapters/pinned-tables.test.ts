/** The pinned tables on the real kernel: copies are whole, clearing is complete, and no privilege is needed. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { LibbpfProbeKernel } from '../../../services/loader/adapters/libbpf-probe-kernel.ts';
import { PinRoot } from '../../../services/loader/adapters/pin-root.ts';
import { want } from '../../../services/loader/load/wanted.ts';
import { bringUp } from '../../../services/loader/loader.ts';
import { readObject } from '../../../services/loader/object/object.ts';
import { getPinned, possibleCpus, update } from '../../../services/shared/adapters/libbpf.ts';
import { createPinnedTables } from '../../../services/shared/adapters/libbpf-pinned-tables.ts';
import { mapPinned } from '../../../services/shared/adapters/libbpf-pinned-slot.ts';
import type { Mapping } from '../../../services/shared/adapters/libc.ts';
import { MusterError } from '../../../services/shared/runtime/errors.ts';
import { silentLog } from '../../../services/shared/runtime/log.ts';
import type { PinnedLineage, PinnedTables, TableImage } from '../../../services/shared/runtime/ports/pinned-tables.ts';
import { compile, probeSource } from '../../loader/compile.ts';
import { requireBpf } from '../../kernel/probe.ts';

const cpus = (): number => possibleCpus();
let made = 0;

interface Pinned {
  readonly root: PinRoot;
  readonly tables: PinnedTables;
  readonly lineage: PinnedLineage;
  readonly directory: string;
  readonly path: string;
}

/** A probe of one table `tiny`, three key words, of so many rows; its program is detached when the test writes itself. */
function pinned(t: TestContext, rows: number, options: { detached: boolean; gid?: number }): Pinned {
  const bytes = compile('tiny', probeSource());
  const root = PinRoot.acquire(`/sys/fs/bpf/muster-pinned-${process.pid}-${++made}`, options.gid ?? 0);
  const wanted = want('tiny', readObject(bytes), cpus(), { path: '', id: 0n, level: 0 }, new Map([['tiny', rows]]));
  const { uuid, dir } = bringUp(new LibbpfProbeKernel(root), wanted, bytes, silentLog);
  if (options.detached) root.detach(dir);
  const tables = createPinnedTables(root.path);
  const directory = `tiny/${uuid}`;
  const lineage = tables.open(directory);
  if (options.detached) lineage.clearSlot(0, 0);
  t.after(() => {
    lineage.close();
    root.removeAll();
    root.release();
  });
  return { root, tables, lineage, directory, path: dir };
}

const image = (): TableImage => ({ rowsIssued: 0, cells: new Uint32Array(), ledger: new Uint32Array() });
const words = (limbs: Uint32Array): BigUint64Array =>
  new BigUint64Array(limbs.buffer, limbs.byteOffset, limbs.length / 2);

/** Writes to a pinned array as a program would; unmapped at the end. */
function writing(path: string, name: string, act: (map: Mapping) => void): void {
  const map = mapPinned(path, name, 8);
  act(map);
  map.unmap();
}

test('a read copies the rows in use of every CPU, and the ledger, where they belong', (t) => {
  if (!requireBpf(t)) return;
  const { lineage, path } = pinned(t, 1000, { detached: true });
  const into = image();
  lineage.readTable(0, 0, into);
  assert.equal(into.rowsIssued, 0);
  writing(path, 'tiny-keys-0', ({ words: keys }) => (keys[0] = 300n));
  writing(path, 'tiny-cells-0', ({ words: cells }) => {
    for (let cpu = 0; cpu < cpus(); cpu++)
      for (let row = 0; row <= 1000; row++) cells[cpu * 1001 + row] = (BigInt(cpu) << 40n) + BigInt(row);
  });
  writing(path, 'tiny-ledger-0', ({ words: ledger }) => {
    const stride = ledger.length / cpus();
    for (let cpu = 0; cpu < cpus(); cpu++)
      for (let field = 0; field < 5; field++) ledger[cpu * stride + field] = (1n << 33n) + BigInt(cpu * 5 + field);
  });
  lineage.readTable(0, 0, into);
  assert.equal(into.rowsIssued, 300);
  for (let cpu = 0; cpu < cpus(); cpu++) {
    for (const row of [0, 1, 299, 300])
      assert.equal(words(into.cells)[cpu * 301 + row], (BigInt(cpu) << 40n) + BigInt(row));
    for (let field = 0; field < 5; field++)
      assert.equal(words(into.ledger)[cpu * 5 + field], (1n << 33n) + BigInt(cpu * 5 + field));
  }
  assert.deepEqual(lineage.readKeys(0, 0, 5, 7).length, 3 * 4 * 8);
});

test('a row count above the capacity is read as the capacity', (t) => {
  if (!requireBpf(t)) return;
  const { lineage, path } = pinned(t, 64, { detached: true });
  writing(path, 'tiny-keys-0', ({ words: keys }) => (keys[0] = 70n));
  const into = image();
  lineage.readTable(0, 0, into);
  assert.equal(into.rowsIssued, 64);
  assert.ok(into.cells.length >= cpus() * 65 * 2);
});

test('arrays grow once and are then filled in place', (t) => {
  if (!requireBpf(t)) return;
  const { lineage, path } = pinned(t, 1000, { detached: true });
  writing(path, 'tiny-keys-0', ({ words: keys }) => (keys[0] = 600n));
  const into = image();
  lineage.readTable(0, 0, into);
  const { cells, ledger } = into;
  writing(path, 'tiny-keys-0', ({ words: keys }) => (keys[0] = 900n));
  lineage.readTable(0, 0, into);
  assert.equal(into.rowsIssued, 900);
  assert.ok(into.cells === cells && into.ledger === ledger);
});

test('clearing leaves nothing, and every left-over of it is noticed', (t) => {
  if (!requireBpf(t)) return;
  const { lineage, path } = pinned(t, 5000, { detached: true });
  const dirt: [string, () => void][] = [
    ['the row count', () => writing(path, 'tiny-keys-0', ({ words: keys }) => (keys[0] = 1n))],
    ['a key', () => writing(path, 'tiny-keys-0', ({ words: keys }) => (keys[keys.length - 1] = 1n << 63n))],
    ['a cell', () => writing(path, 'tiny-cells-0', ({ words: cells }) => (cells[cells.length - 1] = 1n << 32n))],
    ['the ledger', () => writing(path, 'tiny-ledger-0', ({ words: ledger }) => (ledger[1] = 1n))],
    ['a hint', () => writing(path, 'tiny-hints-0', ({ words: hints }) => (hints[hints.length - 1] = 1n))],
    [
      'ids',
      () => {
        const ids = getPinned(join(path, 'tiny-ids-0'))!;
        for (let i = 0; i < 4999; i++) {
          const key = Buffer.alloc(24);
          key.writeUInt32LE(i);
          update(ids, key, Buffer.alloc(4, 1), 'ids');
        }
        closeSync(ids);
      },
    ],
  ];
  assert.equal(lineage.slotEmpty(0, 0), true);
  for (const [what, soil] of dirt) {
    soil();
    assert.equal(lineage.slotEmpty(0, 0), false, what);
    assert.equal(lineage.slotEmpty(0, 1), true, 'the other slot is another');
    lineage.clearSlot(0, 0);
    assert.equal(lineage.slotEmpty(0, 0), true, what);
  }
  for (const [, soil] of dirt) soil();
  lineage.clearSlot(0, 0);
  assert.equal(lineage.slotEmpty(0, 0), true);
});

test('control word and retired sums are kept in the kernel', (t) => {
  if (!requireBpf(t)) return;
  const { lineage, tables, directory } = pinned(t, 64, { detached: true });
  assert.equal(lineage.readControl(), 1n << 8n);
  const retired = BigUint64Array.from({ length: 64 }, (_, i) => (1n << 60n) + BigInt(i));
  lineage.writeRetired(retired);
  lineage.writeControl((7n << 8n) | 1n);
  const again = tables.open(directory);
  assert.equal(again.readControl(), (7n << 8n) | 1n);
  assert.deepEqual(again.readRetired(), retired);
  again.close();
});

test('one lock a lineage: the second process waits its turn', (t) => {
  if (!requireBpf(t)) return;
  const { lineage, tables, directory } = pinned(t, 64, { detached: true });
  const other = tables.open(directory);
  assert.deepEqual([lineage.tryLock(), lineage.tryLock(), other.tryLock()], [true, true, false]);
  lineage.close();
  lineage.close();
  assert.throws(() => lineage.readControl(), /after close/);
  assert.throws(() => lineage.readTable(0, 0, image()), /after close/);
  assert.equal(other.tryLock(), true);
  other.close();
});

test('what is not there, or not readable, is MusterError', (t) => {
  if (!requireBpf(t)) return;
  const { tables, path } = pinned(t, 64, { detached: true });
  const fails = (act: () => unknown, code: string): void =>
    assert.throws(act, (e: unknown) => e instanceof MusterError && e.code === code, code);
  fails(() => tables.open(`tiny/${'0'.repeat(32)}`), 'pins/none');
  assert.deepEqual(createPinnedTables('/sys/fs/bpf/no-such-root').list(), []);
  rmSync(join(path, 'tiny-cells-1'));
  fails(() => tables.open(tables.list()[0]!), 'pins/none');
});

test('no count is torn while another process carries it past 2^32', async (t) => {
  if (!requireBpf(t)) return;
  const rows = 16384;
  const { lineage, path } = pinned(t, rows, { detached: true });
  writing(path, 'tiny-keys-0', ({ words: keys }) => (keys[0] = BigInt(rows)));
  // Every cell of CPU 0 goes up and down across the carry: a copy by halves would show 0 or 2^33 − 1.
  const source = `import('${join(import.meta.dirname, '../../../services/shared/adapters/libbpf-pinned-slot.ts')}').then(({ mapPinned }) => {
    const { words } = mapPinned(${JSON.stringify(path)}, 'tiny-cells-0', 8);
    const end = Date.now() + 1500;
    process.stdout.write('ready\\n');
    while (Date.now() < end) { words.fill(0xffffffffn, 0, ${rows + 1}); words.fill(0x100000000n, 0, ${rows + 1}); }
  });`;
  const writer = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(writer, 'exit');
  await once(writer.stdout, 'data');
  const into = image();
  let reads = 0;
  let changing = 0;
  for (const end = performance.now() + 1000; performance.now() < end; reads++) {
    lineage.readTable(0, 0, into);
    let below = 0;
    for (let row = 0; row <= rows; row++) {
      const [low, high] = [into.cells[row * 2]!, into.cells[row * 2 + 1]!];
      const whole =
        (low === 0xffffffff && high === 0) || (low === 0 && high === 1) || (reads === 0 && low === 0 && high === 0);
      if (!whole) assert.fail(`row ${row} reads 0x${high.toString(16)}_${low.toString(16)}`);
      if (high === 0) below++;
    }
    if (below > 0 && below <= rows) changing++;
    if (reads % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
  t.diagnostic(`${reads} reads of ${rows} rows, ${changing} of them in the middle of a change`);
  assert.ok(changing > 10, 'the writer was caught in the act');
});

test('the wait: by membarrier, and by a map of maps where that does not wait', async (t) => {
  if (!requireBpf(t)) return;
  const { tables, root } = pinned(t, 64, { detached: false });
  await tables.gracePeriod();
  const { waitByMapOfMaps } = await import('../../../services/shared/adapters/libbpf-pinned-tables.ts');
  const before = performance.now();
  let turns = 0;
  const ticking = setInterval(() => turns++, 1);
  await waitByMapOfMaps(root.path, tables.list());
  clearInterval(ticking);
  const ms = performance.now() - before;
  t.diagnostic(`map of maps: ${ms.toFixed(1)} ms, the event loop ran ${turns} times`);
  assert.ok(ms > 0.5, 'it waits');
  await assert.rejects(
    waitByMapOfMaps(root.path, []),
    (e: unknown) => e instanceof MusterError && e.code === 'pins/none',
  );
});

test('a process with no capability at all does an agent’s work through the group', (t) => {
  if (!requireBpf(t)) return;
  const { root, directory } = pinned(t, 1000, { detached: false, gid: 4242 });
  const child = join(import.meta.dirname, 'pinned-tables-child.ts');
  const run = (gid: string): string =>
    execFileSync(
      'setpriv',
      [
        '--inh-caps=-all,+setuid,+setgid',
        'setpriv',
        '--bounding-set=-all',
        '--no-new-privs',
        process.execPath,
        '--import',
        'tsx',
        child,
        root.path,
        directory,
        '12345',
        gid,
      ],
      { encoding: 'utf8', timeout: 20_000, stdio: ['ignore', 'pipe', 'pipe'] },
    );
  const did = JSON.parse(run('4242')) as Record<string, unknown>;
  const none = '0'.repeat(16);
  assert.deepEqual([did['uid'], did['capabilities'], did['noNewPrivs']], ['12345', [none, none, none], '1']);
  assert.ok(Number(did['rows']) > 0);
  assert.deepEqual([did['locked'], did['empty'], did['listed'], did['keyBytes']], [true, true, [directory], 32]);
  assert.deepEqual(did['programs'], [['on_event', 'bigint']]);
  assert.throws(() => run('4243'), /MusterError|bpf\/|EACCES/, 'and outside the group nothing');
});

test('reading 16,000 rows takes microseconds', (t) => {
  if (!requireBpf(t)) return;
  const { lineage, path } = pinned(t, 16_000, { detached: true });
  writing(path, 'tiny-keys-0', ({ words: keys }) => (keys[0] = 16_000n));
  const into = image();
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    lineage.readTable(0, 0, into);
    times.push((performance.now() - start) * 1000);
  }
  times.sort((a, b) => a - b);
  t.diagnostic(`16,000 rows × ${cpus()} CPUs: min ${times[0]!.toFixed(0)} µs, median ${times[100]!.toFixed(0)} µs`);
  assert.ok(times[0]! < 2000);
});
