/** Functions named at the command line: words, cookies, labels; and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probesOf } from '../../services/cli/verbs/load.ts';
import { parseFunction, splitFunctions, withFunctions } from '../../services/loader/load/functions.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';

test('words with a function behind a colon name one probe, and its functions', () => {
  const words = ['syscalls', 'functions:/usr/bin/a:main', './my.bpf.o:/lib/b.so:open:2', 'functions:/usr/bin/a:run'];
  const { probes, functions } = splitFunctions(words);
  assert.deepEqual(probes, ['syscalls', 'functions', './my.bpf.o']);
  assert.deepEqual(functions.get('functions'), [
    { path: '/usr/bin/a', symbol: 'main', argument: 0 },
    { path: '/usr/bin/a', symbol: 'run', argument: 0 },
  ]);
  assert.deepEqual(functions.get('./my.bpf.o'), [{ path: '/lib/b.so', symbol: 'open', argument: 2 }]);
  assert.deepEqual(probesOf(words), [
    { word: 'syscalls', functions: [] },
    { word: 'functions', functions: ['/usr/bin/a:main', '/usr/bin/a:run'] },
    { word: './my.bpf.o', functions: ['/lib/b.so:open:2'] },
  ]);
  for (const wrong of ['bin/a:main', '/usr/bin/a', '/usr/bin/a:', '/usr/bin/a:main:4', '/usr/bin/:main', ''])
    assert.throws(() => parseFunction(wrong), MusterError, wrong);
});

test('programs that leave their function open get all of them, and labels their names', () => {
  const programs = ['uprobe', 'uretprobe', 'tp_btf/sys_enter'].map((hook, i) => ({
    name: `p${i}`,
    hook,
    optional: false,
  }));
  const label = { name: 'function', meaning: 'function', offset: 0, size: 8 };
  const table = {
    name: 't',
    kind: 'counter',
    unit: 'u',
    help: '',
    rows: 1,
    hints: 1,
    keyWords: 1,
    valueCount: 1,
    labels: [label],
  } as const;
  const targets = [parseFunction('/usr/bin/a:main'), parseFunction('/lib/b.so:open:2')];
  const found = withFunctions('x', programs, [{ ...table, labels: [label] }], targets);
  assert.deepEqual(
    found.programs.map((p) => p.hook),
    ['uprobe//usr/bin/a:main,/lib/b.so:open:2', 'uretprobe//usr/bin/a:main,/lib/b.so:open:2', 'tp_btf/sys_enter'],
  );
  assert.deepEqual(found.programs[1]!.targets, [
    { path: '/usr/bin/a', symbol: 'main', cookie: 0n },
    { path: '/lib/b.so', symbol: 'open', cookie: 0x20001n },
  ]);
  assert.equal(found.programs[2]!.targets, undefined);
  assert.deepEqual(found.tables[0]!.labels[0]!.names, { '0': 'a:main', '1': 'b.so:open' });
  const many = Array.from({ length: 65 }, () => targets[0]!);
  assert.throws(() => withFunctions('x', programs, [], many), /65 functions, at most 64/);
});
