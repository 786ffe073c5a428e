/** What `muster load` refuses: three lines with place and remedy, exit code 1, and nothing that runs is disturbed. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { probeSource } from '../loader/compile.ts';
import { KeeperProcess, ownPlace } from '../kernel/loader-process.ts';
import { requireBpf } from '../kernel/probe.ts';
import { muster } from './instance.ts';

/** File name, its content, more words, and what the three lines say. */
const cases: readonly (readonly [file: string, text: string, words: readonly string[], said: RegExp])[] = [
  [
    'no_contract.bpf.c',
    `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("raw_tp/sys_enter") int on_event(void *c) { return 0; }
char LICENSE[] SEC("license") = "GPL";`,
    [],
    /no table[^]*fix: .*MUSTER_COUNTER/,
  ],
  [
    'key_type.bpf.c',
    probeSource({ key: '__u64 syscall; char name[8];', fill: 'key.syscall = args[1];' }),
    [],
    /why: key_type\.bpf\.c:5: table tiny: tiny_key\.name is a array[^]*fix: use an integer/,
  ],
  [
    'gap.bpf.c',
    probeSource({ key: '__u32 a; __u64 b;', fill: 'key.b = args[1];' }),
    [],
    /why: gap\.bpf\.c:5: table tiny: 4 bytes before tiny_key\.b[^]*fix: name every byte/,
  ],
  [
    'too_large.bpf.c',
    probeSource(),
    ['--rows', 'tiny=4000000'],
    /why: too_large\.bpf\.c:6: table tiny: probe too_large needs \d+\.\d MiB[^]*fix: .*--memory-budget/,
  ],
  [
    'auxiliary.bpf.c',
    probeSource({
      before: `struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 28); } events SEC(".maps");`,
      body: '(void)bpf_ringbuf_query(&events, 0);',
    }),
    [],
    /map events: probe auxiliary needs 256\.\d MiB/,
  ],
  [
    'verifier.bpf.c',
    probeSource({ body: 'if (*(volatile __u64 *)args[1] == 5) return 0;' }),
    [],
    /the verifier refused it[^]*verifier\.bpf\.c:\d+[^]*fix: .*--verbose/,
  ],
  [
    'licence.bpf.c',
    probeSource().replace('Dual BSD/GPL', 'Proprietary'),
    [],
    /GPL-restricted[^]*fix: .*SEC\("license"\)/,
  ],
  [
    'compile.bpf.c',
    probeSource({ body: 'int x = undeclared;' }),
    [],
    /why: compile\.bpf\.c:\d+:\d+: error: .*undeclared/,
  ],
  ['syscalls.bpf.c', probeSource(), [], /one of this name counts now[^]*fix: .*muster unload syscalls/],
  [
    'other.bpf.c',
    probeSource({
      declare: 'MUSTER_COUNTER(syscalls, struct tiny_key, 64, "calls", "");',
      count: 'muster_add(syscalls, &key, 1);',
    }),
    [],
    /why: other\.bpf\.c:6: table syscalls: probe syscalls has a table of this name[^]*fix: rename/,
  ],
  ['no_hook.bpf.c', probeSource({ hook: 'tp_btf/no_such_hook' }), [], /no_hook[^]*fix: /],
  ['text.bpf.o', 'not an object', [], /no ELF file[^]*fix: build the object/],
  ['Bad-Name!.bpf.o', 'x', [], /is no probe name[^]*fix: name the file/],
];

test('each is refused, and the probe that runs counts on in its lineage', async (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const keeper = await KeeperProcess.start(place, ['--probes', 'syscalls', '--memory-budget', '64MiB']);
  const status = async (): Promise<unknown> => (await keeper.ask({ id: 1, op: 'status' }))[0]!['lineages'];
  const before = await status();
  const refused = (argv: readonly string[], said: RegExp): string => {
    const run = muster([...argv, '--socket', place.socket]);
    const lines = run.stderr.trimEnd().split('\n');
    assert.match(lines.slice(-3).join('\n'), said);
    assert.deepEqual(
      lines.slice(-3).map((line) => line.split(':')[0]),
      ['error', '  why', '  fix'],
      run.stderr,
    );
    assert.equal(run.code, 1, run.stderr);
    assert.equal(run.stdout, '');
    return lines.slice(0, -3).join('\n');
  };
  for (const [name, text, words, said] of cases) {
    const file = join(place.directory, name);
    writeFileSync(file, text);
    const above = refused(['load', file, ...words], said);
    if (name === 'compile.bpf.c') assert.match(above, /compile\.bpf\.c:\d+:\d+: error/);
    else assert.equal(above, '', 'three lines, no more');
  }
  refused(['load', join(place.directory, 'nothing.bpf.c')], /nothing\.bpf\.c[^]*why: ENOENT/);
  refused(['load', join(place.directory, 'nothing.bpf.o')], /there is no such file/);
  refused(['load', 'nothing'], /no object[^]*fix: .*syscalls/);
  refused(['unload', 'nothing'], /none of this name counts here: probes that count: syscalls/);
  const log = refused(['load', join(place.directory, 'verifier.bpf.c'), '--verbose'], /verifier refused/);
  assert.match(log, /processed \d+ insns/);
  assert.deepEqual(await status(), before);
});

test('without a keeper it says how to get one', (t) => {
  if (!requireBpf(t)) return;
  const place = ownPlace(t);
  const run = muster(['load', 'runqueue', '--socket', place.socket]);
  assert.equal(run.code, 1);
  assert.match(run.stderr, /^error: ask the keeper at .*\n {2}why: .*ENOENT.*\n {2}fix: .*muster up/);
  const nowhere = muster(['load', 'runqueue', '--state-dir', place.directory]);
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /^error: find the keeper.*\n {2}why: no muster up runs on .*\n {2}fix: start it/);
});
