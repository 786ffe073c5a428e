/** The keeper's socket on the real kernel: who may ask what, and what each answer does. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { createPinnedTables } from '../../services/shared/adapters/libbpf-pinned-tables.ts';
import type { TableImage } from '../../services/shared/runtime/ports/pinned-tables.ts';
import { KeeperProcess, ownPlace } from './loader-process.ts';
import { requireBpf } from './probe.ts';

const args = ['--probes', 'syscalls,runqueue', '--gid', '4242'];
interface Status {
  readonly probe: string;
  readonly uuid: string;
  readonly dir: string;
  readonly counting: boolean;
  readonly programs: { readonly state: string; readonly reason?: string }[];
}
const lineages = async (keeper: KeeperProcess): Promise<Status[]> =>
  (await keeper.ask({ id: 1, op: 'status' }))[0]!['lineages'] as Status[];

test('status, detach, retire, remove: from counting to nothing left', async (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const keeper = await KeeperProcess.start(place, args);
  const [runqueue, syscalls] = await lineages(keeper);
  assert.deepEqual(
    [runqueue!.probe, runqueue!.counting, syscalls!.probe, syscalls!.counting],
    ['runqueue', true, 'syscalls', true],
  );
  const { uuid } = syscalls!;
  const [counting] = await keeper.ask({ id: 2, op: 'retire', probe: 'syscalls', uuid });
  assert.deepEqual([counting!['ok'], (counting!['error'] as { code: string }).code], [false, 'keeper/refused']);

  const [detached] = await keeper.ask({ id: 3, op: 'detach', probe: 'syscalls' });
  assert.deepEqual(detached, { id: 3, ok: true, detached: [{ probe: 'syscalls', uuid, programs: ['on_sys_enter'] }] });
  const tables = createPinnedTables(place.pinRoot);
  const lineage = tables.open(`syscalls/${uuid}`);
  const read = (): Uint32Array => {
    const image: TableImage = { rowsIssued: 0, cells: new Uint32Array(), ledger: new Uint32Array() };
    lineage.readTable(0, 0, image);
    return image.ledger;
  };
  const ledger = read();
  assert.ok(
    ledger.some((n) => n > 0),
    'the counts stay',
  );
  readdirSync('/');
  assert.deepEqual(read(), ledger, 'nothing is counted once detach has answered');
  lineage.close();
  const after = await lineages(keeper);
  assert.deepEqual(
    after.map((l) => [l.probe, l.counting, l.programs[0]!.state, l.programs[0]!.reason]),
    [
      ['runqueue', true, 'attached', undefined],
      ['syscalls', false, 'missing', 'detached'],
    ],
  );

  assert.deepEqual(await keeper.ask({ id: 4, op: 'retire', probe: 'syscalls', uuid }), [
    { id: 4, ok: true, removed: true },
  ]);
  assert.equal(existsSync(syscalls!.dir), false);
  assert.deepEqual(await keeper.ask({ id: 5, op: 'retire', probe: 'syscalls', uuid }), [
    { id: 5, ok: true, removed: false },
  ]);
  assert.deepEqual(await keeper.ask({ id: 6, op: 'remove' }), [{ id: 6, ok: true }]);
  assert.equal(existsSync(place.pinRoot), false);
  assert.equal((await keeper.end('SIGTERM')).status, 0);
  assert.equal(existsSync(place.socket), false);
});

test('statistics: runs and time of each program while the period lasted', async (t) => {
  if (!requireBpf(t)) return;
  const keeper = await KeeperProcess.start(ownPlace(t), args);
  const [reply] = await keeper.ask({ id: 1, op: 'statistics', seconds: 0.3 });
  const programs = reply!['programs'] as { probe: string; program: string; runs: string; runTimeNs: string }[];
  assert.deepEqual(
    programs.map((p) => `${p.probe}/${p.program}`),
    ['runqueue/on_sched_switch', 'syscalls/on_sys_enter'],
  );
  for (const p of programs) {
    const perRun = Number(p.runTimeNs) / Number(p.runs);
    assert.ok(BigInt(p.runs) > 0n && perRun > 1 && perRun < 1e6, JSON.stringify(p));
  }
});

test('symbols of the kernel and of a process', async (t) => {
  if (!requireBpf(t)) return;
  const keeper = await KeeperProcess.start(ownPlace(t), args);
  const known = /^([0-9a-f]+) [tT] (do_exit|__x64_sys_getppid|vfs_read)$/m.exec(
    readFileSync('/proc/kallsyms', 'utf8'),
  )!;
  const inside = (BigInt(`0x${known[1]!}`) + 4n).toString(16);
  const maps = readFileSync(`/proc/${process.pid}/maps`, 'utf8');
  const text = /^([0-9a-f]+)-[0-9a-f]+ r-xp ([0-9a-f]+) \S+ \d+ +(\/.*libc\S*)$/m.exec(maps)!;
  const [, value] = /^([0-9a-f]+) [TW] getppid@/m.exec(execFileSync('nm', ['-D', text[3]!], { encoding: 'utf8' }))!;
  const inFile = BigInt(`0x${value!}`) + 4n;
  const libcBase = (BigInt(`0x${text[1]!}`) - BigInt(`0x${text[2]!}`) + inFile).toString(16);
  const [kernel, user] = await keeper.ask(
    { id: 1, op: 'symbols', kind: 'kernel', addresses: [inside, '10'] },
    { id: 2, op: 'symbols', kind: 'user', pid: process.pid, addresses: [libcBase, '10'] },
  );
  const [named, unnamed] = kernel!['symbols'] as { name?: string }[];
  assert.equal(named!.name, `${known[2]}+0x4`);
  assert.equal(unnamed!.name, undefined);
  const [inLibc, nowhere] = user!['symbols'] as { module?: string; offset?: string; symbol?: string }[];
  assert.equal(inLibc!.module, text[3]);
  assert.equal(inLibc!.offset, `0x${inFile.toString(16)}`);
  assert.equal(inLibc!.symbol, 'getppid+0x4');
  assert.equal(nowhere!.module, undefined);
});

test('the socket: root’s and the group’s, errors for bad lines, no answer too long to wait for', async (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const keeper = await KeeperProcess.start(place, args);
  const { mode, gid } = statSync(place.socket);
  assert.deepEqual([mode & 0o777, gid], [0o660, 4242]);
  const replies = await keeper.ask(
    'garbage',
    { id: 2, op: 'nothing' },
    { id: 3, op: 'status' },
    '{"id":4,"op":"retire","probe":"..","uuid":"x"}',
  );
  assert.deepEqual(
    replies.map((r) => [r['id'], r['ok']]),
    [
      [null, false],
      [2, false],
      [3, true],
      [4, false],
    ],
  );
  // A line without end, and one connection after another that says nothing: the keeper goes on answering.
  const flood = connect(place.socket).on('error', () => undefined);
  flood.write('x'.repeat(1 << 20));
  await new Promise((resolve) => flood.on('close', resolve).resume());
  const idle = Array.from({ length: 5 }, () => connect(place.socket));
  assert.equal((await keeper.ask({ id: 9, op: 'status' }))[0]!['ok'], true);
  for (const socket of idle) socket.destroy();
});

test('the group may ask for status and not for an end', async (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const keeper = await KeeperProcess.start(place, args);
  execFileSync('chmod', ['755', place.directory]);
  const ask = `const s=require('net').connect(${JSON.stringify(place.socket)});s.on('data',d=>{process.stdout.write(d);s.destroy()});s.write(process.argv[1]+'\\n')`;
  const asGroup = (line: string): { ok: boolean; error?: { code: string } } =>
    JSON.parse(
      execFileSync(
        'setpriv',
        ['--reuid', '12345', '--regid', '4242', '--clear-groups', process.execPath, '-e', ask, line],
        {
          encoding: 'utf8',
          timeout: 10_000,
          cwd: '/',
        },
      ),
    ) as { ok: boolean; error?: { code: string } };
  assert.equal(asGroup('{"id":1,"op":"status"}').ok, true);
  for (const op of ['detach', 'remove']) assert.equal(asGroup(`{"id":1,"op":"${op}"}`).error?.code, 'keeper/refused');
  assert.ok((await lineages(keeper)).every((l) => l.counting));
});

test('a stale socket is replaced, a live one is not', async (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const first = await KeeperProcess.start(place, args);
  await first.end('SIGKILL');
  assert.equal(existsSync(place.socket), true);
  await KeeperProcess.start(place, args);
  const other = ownPlace(t);
  await assert.rejects(KeeperProcess.start({ ...other, socket: place.socket }, args), /another keeper answers there/);
  writeFileSync(`${other.directory}/file`, 'precious');
  await assert.rejects(KeeperProcess.start({ ...other, socket: `${other.directory}/file` }, args), /listen on/);
  assert.equal(readFileSync(`${other.directory}/file`, 'utf8'), 'precious');
});

test('it ends with its parent: end of stdin as lifeline', async (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const keeper = await KeeperProcess.start(place, args, { MUSTER_STDIN_LIFELINE: '1' });
  keeper.child.stdin!.end();
  assert.equal((await keeper.wait()).status, 0);
  assert.ok(readdirSync(place.pinRoot).length > 0, 'what is pinned stays');
});
