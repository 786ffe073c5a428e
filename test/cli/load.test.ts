/** `muster load`: when it means the role, what it says of an answer, and where in a source an error lies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileError, lineOf, loadReport, namesProbes, refusalOf, rowsOf } from '../../services/cli/verbs/load.ts';

test('flags alone are the loader’s, a word is a probe to load', () => {
  for (const line of ['', '--probes syscalls --keep', '--pin-root /a --gid 5', '--probes=a', '--rows a=5 --socket /s'])
    assert.equal(namesProbes(line.split(' ').filter(Boolean)), false, line);
  for (const line of ['a.bpf.c', '--socket /s a.bpf.o', 'runqueue --rows a=5', '--replace x.o', '-o json x', '-- x'])
    assert.equal(namesProbes(line.split(' ')), true, line);
});

test('rows by table', () => {
  assert.deepEqual(rowsOf(['a=5', 'b_2=10']), { a: 5, b_2: 10 });
  for (const word of ['a', 'a=0', 'A=1', 'a=1.5']) assert.throws(() => rowsOf([word]), /not TABLE=N/);
});

const source = `#include "muster.bpf.h"

struct opens_key {
	__u32 flags;
	struct muster_comm comm;
};
MUSTER_COUNTER(opens, struct opens_key, 1024, "opens", "files opened");
struct other_key { char name[8]; };
MUSTER_HISTOGRAM( waits , struct other_key, 1024, "ns", "waits");

SEC("tp_btf/sys_enter")
int on_open(__u64 *args)
`;

test('an error is brought to its line', () => {
  assert.equal(lineOf(source, 'table opens: opens_key.flags is a float, which has no text'), 4);
  assert.equal(lineOf(source, 'table opens: its key struct opens_key has 20 bytes'), 3);
  assert.equal(lineOf(source, 'table opens: it declares 0 rows'), 7);
  assert.equal(lineOf(source, 'table waits: a histogram’s key ends in its bucket'), 9);
  assert.equal(lineOf(source, 'table waits: other_key.name is a array, which has no text'), 8);
  assert.equal(lineOf(source, 'load program on_open of opens: EINVAL'), 12);
  assert.equal(lineOf(source, 'read object: it declares no table'), undefined);
});

test('a refusal keeps what the keeper said, and says where', () => {
  const error = {
    code: 'bpf/contract',
    message: 'm',
    what: 'table opens: it declares 0 rows',
    why: '',
    fix: 'declare 1',
  };
  assert.equal(
    refusalOf('load a.bpf.c', error, { name: 'a.bpf.c', text: source }).threeLines,
    'error: load a.bpf.c\n  why: a.bpf.c:7: table opens: it declares 0 rows\n  fix: declare 1',
  );
  const verifier = refusalOf('load a.bpf.o', {
    code: 'bpf/verifier',
    message: 'm',
    what: 'w',
    why: 'EACCES at a.bpf.c:9: `x`',
    log: 'long',
  });
  assert.match(verifier.threeLines, /why: w: EACCES at a\.bpf\.c:9: `x`\n {2}fix: repeat with --verbose/);
  assert.equal(verifier.log, 'long');
  assert.equal(refusalOf('load a', { code: 'new/code', message: 'm' }).code, 'keeper/refused');
  assert.equal(refusalOf('load a', 'nonsense').code, 'keeper/refused');
});

test('clang’s first complaint is the reason, its whole text the log', () => {
  const text =
    "In file included from a.c:1:\na.c:3:5: error: unknown type name 'u64'\n    3 | u64 x;\n1 error generated.\n";
  const error = compileError('a.c', text);
  assert.equal(error.code, 'bpf/compile');
  assert.match(error.threeLines, /error: compile a\.c\n {2}why: a\.c:3:5: error: unknown type name 'u64'\n {2}fix: /);
  assert.equal(error.log, text.trimEnd());
});

test('the report: hooks, metrics, memory, what to try', () => {
  const lines = loadReport(
    {
      lineage: {
        probe: 'opens',
        adopted: false,
        billBytes: 2 ** 20,
        programs: [
          { hook: 'tp_btf/sys_enter', state: 'attached' },
          { hook: 'fentry/x', state: 'missing', reason: 'no such function' },
        ],
      },
      tables: [
        {
          name: 'open_times',
          kind: 'histogram',
          unit: 'ns',
          help: 'time to open',
          rows: 512,
          labels: [
            { name: 'comm', meaning: 'comm' },
            { name: 'bucket', meaning: 'bucket' },
          ],
        },
      ],
      shrunk: [{ table: 'open_times', declared: 1024, rows: 512 }],
      usedBytes: 2 ** 22,
      budgetBytes: 2 ** 28,
    },
    '127.0.0.1:5',
  );
  assert.deepEqual(lines, [
    'opens: attached to tp_btf/sys_enter',
    '  not attached to fentry/x: no such function',
    '  metric open_times: time to open (histogram, ns; labels comm; 512 rows)',
    '  table open_times: sized down from 1024 to 512 rows to fit the memory budget of this host',
    '  kernel memory 1 MiB; all probes 4 MiB of 256 MiB',
    '  try: muster hist open_times --server 127.0.0.1:5',
  ]);
});
