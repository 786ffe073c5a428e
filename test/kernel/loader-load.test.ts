/** Probes loaded and unloaded over the keeper's socket on the real kernel, while others count. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createPinnedTables } from '../../services/shared/adapters/libbpf-pinned-tables.ts';
import { parseLineageMeta } from '../../services/shared/contract/lineage.ts';
import { compileToFile, probeSource } from '../loader/compile.ts';
import { generate, Generator } from './generator.ts';
import { KeeperProcess, ownPlace } from './loader-process.ts';
import { LoadedProbe, ownCgroup, requireBpf, total } from './probe.ts';

/** Counts system calls by number within the scope. */
const object = (name: string): string =>
  compileToFile(
    name,
    probeSource({
      key: '__u64 syscall MUSTER_AS("syscall");',
      declare: `MUSTER_COUNTER(${name}, struct tiny_key, 1024, "calls", "system calls");`,
      fill: 'if (!muster_in_scope(muster_task())) return 0; key.syscall = args[1];',
      count: `muster_add(${name}, &key, 1);`,
    }),
  );

interface Reply {
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly what: string; readonly fix: string };
  readonly lineage: {
    readonly uuid: string;
    readonly dir: string;
    readonly billBytes: number;
    readonly adopted: boolean;
  };
  readonly usedBytes: number;
}
const ask = async (keeper: KeeperProcess, request: object): Promise<Reply> =>
  (await keeper.ask({ id: 1, ...request }))[0] as unknown as Reply;

function open(t: TestContext, pinRoot: string, probe: string, uuid: string): LoadedProbe {
  const lineage = createPinnedTables(pinRoot).open(`${probe}/${uuid}`);
  t.after(() => {
    lineage.close();
  });
  return new LoadedProbe(parseLineageMeta(lineage.metaJson), lineage, join(pinRoot, probe, uuid));
}

test('of two probes loaded while a third counts, one ends in mid-count, and the others miss nothing', async (t) => {
  if (!requireBpf(t)) return;
  const { directory, scope } = ownCgroup(t);
  const place = ownPlace(t);
  const keeper = await KeeperProcess.start(place, ['--probes', 'syscalls', '--scope', scope, '--gid', '4242']);
  const [left, right] = [object('left'), object('right')];
  const first = await ask(keeper, { op: 'load', object: left });
  const second = await ask(keeper, { op: 'load', object: right });
  assert.deepEqual([first.ok, second.ok], [true, true], JSON.stringify([first, second]));
  assert.ok(second.usedBytes > first.usedBytes && first.usedBytes > first.lineage.billBytes);
  const probes = {
    syscalls: open(t, place.pinRoot, 'syscalls', keeper.ready.lineages[0]!.uuid),
    left: open(t, place.pinRoot, 'left', first.lineage.uuid),
    right: open(t, place.pinRoot, 'right', second.lineage.uuid),
  };
  /** Calls with the generator's own numbers. */
  const counted = (probe: LoadedProbe): number => {
    const contents = probe.read();
    assert.equal(total(contents), contents.seen);
    return Number(
      contents.rows.reduce(
        (sum, r) => ([r.key[0]!, r.key[2]!].some((n) => n >= 5000n && n < 5100n) ? sum + r.values[0]! : sum),
        0n,
      ),
    );
  };
  const calls = [
    '--call',
    'number',
    '--first',
    5000,
    '--keys',
    100,
    '--calls',
    300_000,
    '--threads',
    2,
    '--cgroup',
    directory,
  ];
  let made = (await generate(calls)).calls;
  for (const [name, probe] of Object.entries(probes)) assert.equal(counted(probe), made, name);

  const generator = await Generator.start(calls);
  const running = generator.run();
  const reply = await ask(keeper, { op: 'unload', probe: 'right' });
  assert.equal(reply.ok, true);
  const atEnd = counted(probes.right);
  made += (await running).calls;
  await generator.end();
  made += (await generate(calls)).calls;
  assert.equal(counted(probes.syscalls), made);
  assert.equal(counted(probes.left), made);
  assert.equal(counted(probes.right), atEnd, 'nothing is counted once unload has answered');
  assert.ok(readdirSync(second.lineage.dir).includes('ended'), 'the agent is told');
  assert.equal((await ask(keeper, { op: 'unload', probe: 'right' })).error?.code, 'keeper/refused');

  // What was unloaded gives its memory back, and can be loaded again.
  assert.equal((await ask(keeper, { op: 'retire', probe: 'right', uuid: second.lineage.uuid })).ok, true);
  assert.equal(existsSync(second.lineage.dir), false);
  const again = await ask(keeper, { op: 'load', object: right });
  assert.deepEqual([again.ok, again.usedBytes], [true, second.usedBytes]);
  assert.equal((await ask(keeper, { op: 'load', object: left })).lineage.uuid, first.lineage.uuid);
});

test('what was loaded outlives its keeper, and is known to the next one', async (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const args = ['--probes', 'syscalls', '--gid', '4242'];
  const keeper = await KeeperProcess.start(place, args);
  const { lineage, usedBytes } = await ask(keeper, { op: 'load', object: object('left') });
  const gone = await ask(keeper, { op: 'load', object: object('right') });
  await ask(keeper, { op: 'detach', probe: 'right' });
  await keeper.end('SIGKILL');
  const next = await KeeperProcess.start(place, args);
  assert.equal(next.ready.lineages[0]!.adopted, true);
  const again = await ask(next, { op: 'load', object: object('left') });
  assert.deepEqual([again.lineage.uuid, again.lineage.adopted, again.usedBytes], [lineage.uuid, true, usedBytes]);
  assert.ok(readdirSync(gone.lineage.dir).includes('ended'), 'a lineage that was left detached has ended');
});

test('what is no object is not opened twice, not followed, not waited for', async (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const keeper = await KeeperProcess.start(place, ['--probes', 'syscalls', '--memory-budget', '16MiB']);
  const file = (name: string): string => join(place.directory, name);
  writeFileSync(file('text.bpf.o'), 'int main(void) {}');
  writeFileSync(file('empty.bpf.o'), '');
  writeFileSync(file('huge.bpf.o'), '');
  truncateSync(file('huge.bpf.o'), 2 ** 30);
  symlinkSync(object('left'), file('link.bpf.o'));
  execFileSync('mkfifo', [file('fifo.bpf.o')]);
  for (const [name, code, words] of [
    ['text.bpf.o', 'bpf/object', /no ELF file/],
    ['empty.bpf.o', 'bpf/object', /no ELF file/],
    ['huge.bpf.o', 'bpf/object', /at most \d+ are read/],
    ['link.bpf.o', 'bpf/object', /ELOOP/],
    ['fifo.bpf.o', 'bpf/object', /no regular file/],
    ['nothing.bpf.o', 'bpf/object', /ENOENT/],
    ['', 'bpf/object', /./],
  ] as const) {
    const { error } = await ask(keeper, { op: 'load', object: file(name) });
    assert.equal(error?.code, code, name);
    assert.match(error.what, words);
  }
  const { error } = await ask(keeper, { op: 'load', object: object('left'), rows: { left: 1 << 20 } });
  assert.equal(error?.code, 'bpf/memory');
  const [status] = await keeper.ask({ id: 1, op: 'status' });
  assert.deepEqual(
    (status!['lineages'] as { probe: string; uuid: string; counting: boolean }[]).map((l) => [
      l.probe,
      l.uuid,
      l.counting,
    ]),
    [['syscalls', keeper.ready.lineages[0]!.uuid, true]],
  );
});
