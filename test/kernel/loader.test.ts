/** The loader as a process on the real kernel: load, pin, adopt, refuse, and what outlives a kill -9. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { billBytes } from '../../services/loader/load/bill.ts';
import { getPinned } from '../../services/shared/adapters/libbpf.ts';
import { createPinnedTables } from '../../services/shared/adapters/libbpf-pinned-tables.ts';
import { parseLineageMeta } from '../../services/shared/contract/lineage.ts';
import type { TableImage } from '../../services/shared/runtime/ports/pinned-tables.ts';
import { compileToFile, probeSource } from '../loader/compile.ts';
import { KeeperProcess, ownPlace, runLoader } from './loader-process.ts';
import { ownCgroup, requireBpf } from './probe.ts';

function seen(pinRoot: string, probe: string, uuid: string): bigint {
  const lineage = createPinnedTables(pinRoot).open(`${probe}/${uuid}`);
  const image: TableImage = { rowsIssued: 0, cells: new Uint32Array(), ledger: new Uint32Array() };
  lineage.readTable(0, 0, image);
  lineage.close();
  let sum = 0n;
  for (let at = 0; at < image.ledger.length; at += 10)
    sum += BigInt(image.ledger[at]!) + (BigInt(image.ledger[at + 1]!) << 32n);
  return sum;
}

/** Memory of a pinned map as the kernel accounts it. */
function memoryOf(path: string): number {
  const fd = getPinned(path)!;
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  closeSync(fd);
  return Number(/^memlock:\s*(\d+)$/m.exec(text)![1]);
}

test('load, pin and exit: the programs count on, and the pins belong to root and the group', async (t) => {
  if (!requireBpf(t)) return;
  const { pinRoot } = ownPlace(t);
  const { status, ready, stderr } = await runLoader([
    '--probes',
    'syscalls,runqueue',
    '--pin-root',
    pinRoot,
    '--gid',
    '4242',
  ]);
  assert.equal(status, 0, stderr);
  assert.deepEqual(
    ready!.lineages.map((l) => [l.probe, l.adopted, l.programs.map((p) => p.state)]),
    [
      ['syscalls', false, ['attached']],
      ['runqueue', false, ['attached']],
    ],
  );
  assert.equal(
    ready!.billBytes,
    ready!.lineages.reduce((sum, l) => sum + l.billBytes, 0),
  );
  const { uuid, dir } = ready!.lineages[0]!;
  const before = seen(pinRoot, 'syscalls', uuid);
  readdirSync('/');
  assert.ok(seen(pinRoot, 'syscalls', uuid) > before, 'it counts without its loader');
  for (const name of readdirSync(dir)) {
    const { mode, uid, gid } = statSync(join(dir, name));
    const link = name.startsWith('link-');
    assert.deepEqual([mode & 0o777, uid, gid], link ? [0o600, 0, 0] : [0o660, 0, 4242], name);
  }
  for (const directory of [pinRoot, join(pinRoot, 'syscalls'), dir]) {
    assert.deepEqual([statSync(directory).mode & 0o777, statSync(directory).gid], [0o750, 4242], directory);
  }
  const held = readdirSync(dir).filter((name) => /-[01]$/.test(name));
  const bytes = held.reduce((sum, name) => sum + memoryOf(join(dir, name)), 0);
  const meta = parseLineageMeta(createPinnedTables(pinRoot).open(`syscalls/${uuid}`).metaJson);
  const bill = billBytes(meta.tables, meta.cpus);
  assert.ok(Math.abs(bill - bytes) < bytes / 1000, `bill ${bill}, the kernel says ${bytes}`);
  assert.ok(ready!.lineages[0]!.billBytes > bill + 65536, 'maps of its own are billed too');
  assert.equal(meta.uuid, uuid);
  assert.match(meta.programs[0]!.tag, /^(?!0{16})[0-9a-f]{16}$/);
  assert.equal(meta.tables[0]!.name, 'syscalls');
});

test('the loader says within what it stays: a second one is refused with the first one’s pid', async (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const keeper = await KeeperProcess.start(place, ['--probes', 'syscalls']);
  const second = await runLoader(['--probes', 'syscalls', '--pin-root', place.pinRoot, '--log-level', 'silent']);
  assert.equal(second.status, 1);
  assert.deepEqual(second.stderr.trimEnd().split('\n').length, 3, second.stderr);
  assert.match(second.stderr, new RegExp(`another loader holds it\n  why: it is process ${keeper.child.pid}\n  fix: `));
});

test('killed -9, its programs count on and the next loader adopts them', async (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const first = await KeeperProcess.start(place, ['--probes', 'syscalls']);
  const { uuid } = first.ready.lineages[0]!;
  await first.end('SIGKILL');
  const before = seen(place.pinRoot, 'syscalls', uuid);
  const halfMade = `tmp-${'0'.repeat(32)}`;
  mkdirSync(join(place.pinRoot, 'syscalls', halfMade));
  const second = await KeeperProcess.start(place, ['--probes', 'syscalls']);
  assert.deepEqual([second.ready.lineages[0]!.uuid, second.ready.lineages[0]!.adopted], [uuid, true]);
  assert.ok(seen(place.pinRoot, 'syscalls', uuid) > before);
  assert.deepEqual(readdirSync(join(place.pinRoot, 'syscalls')), [uuid], 'what was left half-made is gone');
  assert.equal((await second.end('SIGTERM')).status, 0);
  assert.ok(seen(place.pinRoot, 'syscalls', uuid) > before, 'pins outlive it');
});

test('other rows: the old lineage stops counting and keeps its counts, a new one starts', async (t) => {
  if (!requireBpf(t)) return;
  const { pinRoot } = ownPlace(t);
  const first = (await runLoader(['--probes', 'syscalls', '--pin-root', pinRoot])).ready!.lineages[0]!;
  const second = (await runLoader(['--probes', 'syscalls', '--pin-root', pinRoot, '--rows', 'syscalls=500'])).ready!
    .lineages[0]!;
  assert.equal(second.adopted, false);
  assert.notEqual(second.uuid, first.uuid);
  assert.deepEqual(
    readdirSync(first.dir).filter((n) => n.startsWith('link-')),
    [],
  );
  const old = seen(pinRoot, 'syscalls', first.uuid);
  assert.ok(old > 0n);
  readdirSync('/');
  assert.equal(seen(pinRoot, 'syscalls', first.uuid), old);
  assert.ok(seen(pinRoot, 'syscalls', second.uuid) > 0n);
  assert.equal(
    parseLineageMeta(createPinnedTables(pinRoot).open(`syscalls/${second.uuid}`).metaJson).tables[0]!.rows,
    500,
  );
});

test('a program that the verifier refuses fails with its log, and disturbs no other', async (t) => {
  if (!requireBpf(t)) return;
  const { pinRoot } = ownPlace(t);
  const bad = compileToFile('bad', probeSource({ body: 'if (args[1] == 7) return *(volatile int *)(args[1]);' }));
  const { status, ready, stderr } = await runLoader(['--probes', `${bad},syscalls`, '--pin-root', pinRoot]);
  assert.equal(status, 0, stderr);
  assert.deepEqual(
    ready!.lineages.map((l) => l.probe),
    ['syscalls'],
  );
  assert.equal(ready!.failed[0]!.code, 'bpf/verifier');
  assert.match(
    ready!.failed[0]!.message,
    /load program on_event of bad: the verifier refused it: .*R\d+ invalid mem access/,
  );
  const line = stderr
    .split('\n')
    .map((l) => JSON.parse(l || '{}') as { verifierLog?: string })
    .find((l) => l.verifierLog);
  assert.match(line!.verifierLog!, /^[\s\S]*invalid mem access[\s\S]*processed \d+ insns/);
  assert.deepEqual(readdirSync(pinRoot), ['missing-probes', 'syscalls'], 'nothing is left of it but its name');
  const alone = await runLoader(['--probes', bad, '--pin-root', pinRoot, '--log-level', 'silent']);
  assert.equal(alone.status, 1);
  assert.match(
    alone.stderr,
    /invalid mem access[\s\S]*\nerror: load program on_event of bad.*\n {2}why: .*\n {2}fix: read the verifier log/,
  );
});

test('an optional program whose hook is missing is left out and reported', async (t) => {
  if (!requireBpf(t)) return;
  const { pinRoot } = ownPlace(t);
  const extra = `SEC("?tp_btf/no_such_tracepoint") int on_more(__u64 *args) { return args != 0; }\nchar LICENSE`;
  const object = compileToFile('partly', probeSource().replace('char LICENSE', extra));
  for (const adopted of [false, true]) {
    const { ready, stderr } = await runLoader(['--probes', object, '--pin-root', pinRoot]);
    assert.equal(ready?.lineages[0]?.adopted, adopted, stderr);
    const [first, more] = ready.lineages[0].programs;
    assert.equal(first!.state, 'attached');
    assert.deepEqual([more!.name, more!.state], ['on_more', 'missing']);
    assert.match(more!.reason!, /on_more/);
  }
});

test('what is wrong with the call is said in three lines, and nothing is pinned', async (t) => {
  if (!requireBpf(t)) return;
  const { pinRoot, directory } = ownPlace(t);
  writeFileSync(join(directory, 'text.bpf.o'), 'not an object');
  const cases: [string[], number, RegExp][] = [
    [['--probes', 'syscall'], 1, /no object .*\n.*\n {2}fix: did you mean syscalls\?/],
    [['--probes', join(directory, 'text.bpf.o')], 1, /this is no ELF file/],
    [
      ['--probes', 'syscalls', '--rows', 'syscals=5'],
      2,
      /why: no probe has a table of this name\n {2}fix: did you mean syscalls\?/,
    ],
    [['--probes', 'syscalls', '--scope', 'cgroup=/no/such'], 2, /no such cgroup/],
    [['--probes', 'syscalls', '--pin-root', directory], 1, /not on a BPF file system\n.*\n {2}fix: .*mount -t bpf/],
    [['--probs', 'syscalls'], 2, /did you mean --probes\?/],
  ];
  for (const [args, status, words] of cases) {
    const ended = await runLoader(['--pin-root', pinRoot, '--log-level', 'silent', ...args]);
    assert.equal(ended.status, status, `${args.join(' ')}: ${ended.stderr}`);
    assert.match(ended.stderr, words);
    assert.equal(ended.stderr.trimEnd().split('\n').length, 3, ended.stderr);
    assert.equal(ended.ready, undefined);
  }
});

test('without the privilege it says so, and how to get it', async (t) => {
  if (!requireBpf(t)) return;
  const { pinRoot } = ownPlace(t);
  const { status, stderr } = await runLoader(['--pin-root', pinRoot], ['setpriv', '--bounding-set=-all']);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^error: load BPF programs: this process may not\n {2}why: .*CapEff 0x0.*\n {2}fix: run as root, or grant/,
  );
  assert.equal(stderr.trimEnd().split('\n').length, 3, stderr);
});

test('a bpffs that only root may enter is opened for passing through', async (t) => {
  if (!requireBpf(t)) return;
  const { directory } = ownPlace(t);
  const mount = join(directory, 'bpf');
  mkdirSync(mount);
  execFileSync('mount', ['-t', 'bpf', '-o', 'mode=700', 'bpf', mount]);
  try {
    const pinRoot = join(mount, 'muster');
    const { status, stderr } = await runLoader(['--probes', 'syscalls', '--pin-root', pinRoot, '--gid', '4242']);
    assert.equal(status, 0, stderr);
    assert.deepEqual([statSync(mount).mode & 0o777, statSync(pinRoot).mode & 0o777], [0o711, 0o750]);
  } finally {
    execFileSync('umount', [mount]);
  }
});

test('a scope counts its cgroup alone', async (t) => {
  if (!requireBpf(t)) return;
  const { pinRoot } = ownPlace(t);
  const { scope } = ownCgroup(t);
  const { ready, stderr } = await runLoader(['--probes', 'syscalls', '--pin-root', pinRoot, '--scope', scope]);
  const { uuid } = ready!.lineages[0]!;
  readdirSync('/');
  assert.equal(seen(pinRoot, 'syscalls', uuid), 0n, stderr);
  const meta = parseLineageMeta(createPinnedTables(pinRoot).open(`syscalls/${uuid}`).metaJson);
  assert.equal(`cgroup=${meta.scope}`, scope);
});
