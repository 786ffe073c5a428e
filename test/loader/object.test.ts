/** What an object file says of itself: good probes read in full, bad ones refused with the place and the remedy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readObject } from '../../services/loader/object/object.ts';
import { hintsFor } from '../../services/shared/contract/table-maps.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { compile, probeSource } from './compile.ts';

const refused = (name: string, source: string, code: string, ...words: (string | RegExp)[]): void => {
  const bytes = compile(name, source);
  assert.throws(
    () => readObject(bytes),
    (error: unknown) => {
      assert.ok(error instanceof MusterError, String(error));
      assert.equal(error.code, code);
      for (const word of words)
        assert.match(
          error.message,
          word instanceof RegExp ? word : new RegExp(word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')),
        );
      return true;
    },
  );
};

test('a counter: programs, rows, labels with meaning and place', () => {
  const spec = readObject(compile('good', probeSource()));
  assert.deepEqual(spec.programs, [{ name: 'on_event', hook: 'tp_btf/sys_enter', optional: false }]);
  assert.deepEqual(spec.tables, [
    {
      name: 'tiny',
      kind: 'counter',
      unit: 'calls',
      help: 'a small table',
      rows: 1024,
      hints: 1024,
      keyWords: 3,
      valueCount: 1,
      labels: [
        { name: 'syscall', meaning: 'syscall', offset: 0, size: 8 },
        { name: 'comm', meaning: 'comm', offset: 8, size: 16 },
      ],
    },
  ]);
  assert.deepEqual([...spec.constants.variables.keys()].sort(), [
    'muster_cgroup_v1',
    'muster_cpus',
    'muster_owner_parts',
    'muster_scope_id',
    'muster_scope_level',
    'tiny_at',
    'tiny_hint_mask',
    'tiny_owned',
    'tiny_rows',
  ]);
});

test('integers, enums, names, padding and help with colons', () => {
  const [table] = readObject(
    compile(
      'rich',
      probeSource({
        before: 'enum verdict { ACCEPT = 0, DROP = 7, QUEUE = -1 };',
        key: '__u64 id; __u32 who MUSTER_NAME("owner"); enum verdict verdict; __s32 delta; __u32 pad; __u16 port MUSTER_AS("port"); __u8 a[6] MUSTER_AS("mac");',
        declare: 'MUSTER_COUNTER(tiny, struct tiny_key, 100, "bytes", "sent: by owner");',
        fill: '',
      }),
    ),
  ).tables;
  assert.equal(table!.help, 'sent: by owner');
  assert.equal(table!.hints, 128);
  assert.deepEqual(table!.labels, [
    { name: 'id', meaning: 'u64', offset: 0, size: 8 },
    { name: 'owner', meaning: 'u64', offset: 8, size: 4 },
    { name: 'verdict', meaning: 'enum', offset: 12, size: 4, names: { '0': 'ACCEPT', '7': 'DROP', '-1': 'QUEUE' } },
    { name: 'delta', meaning: 's64', offset: 16, size: 4 },
    { name: 'port', meaning: 'port', offset: 24, size: 2 },
    { name: 'a', meaning: 'mac', offset: 26, size: 6 },
  ]);
});

test('a histogram: two values, the bucket last', () => {
  const [table] = readObject(
    compile(
      'histogram',
      probeSource({
        key: 'struct muster_comm comm; MUSTER_BUCKET;',
        declare: 'MUSTER_HISTOGRAM(tiny, struct tiny_key, 500, "ns", "how long");',
        fill: 'key.comm = muster_comm();',
        count: 'muster_observe(tiny, &key, args[1]);',
      }),
    ),
  ).tables;
  assert.equal(table!.kind, 'histogram');
  assert.equal(table!.valueCount, 2);
  assert.deepEqual(table!.labels.at(-1), { name: 'bucket', meaning: 'bucket', offset: 16, size: 8 });
});

test('SEC("?…") marks a program as optional', () => {
  const spec = readObject(compile('optional', probeSource({ hook: '?tp_btf/sys_enter' })));
  assert.deepEqual(spec.programs, [{ name: 'on_event', hook: 'tp_btf/sys_enter', optional: true }]);
});

test('an object without tables is refused', () => {
  const source = `#include <linux/types.h>\n#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>
SEC("tp_btf/sys_enter") int on_event(void *args) { return args != 0; }
char LICENSE[] SEC("license") = "GPL";
int unused_variable_for_btf = 1;`;
  refused('no_table', source, 'bpf/contract', 'declares no table', 'MUSTER_COUNTER');
});

test('a key with a hole is refused by the member before which it lies', () => {
  refused(
    'hole',
    probeSource({ key: '__u32 a; __u64 b;', fill: '' }),
    'bpf/contract',
    'table tiny',
    '4 bytes before tiny_key.b',
    'pad',
  );
  refused(
    'hole_end',
    probeSource({ key: '__u64 a; __u32 b;', fill: '' }),
    'bpf/contract',
    'the last 4 bytes of tiny_key',
    'pad',
  );
});

test('key members without a text are refused by name', () => {
  refused(
    'pointer',
    probeSource({ key: '__u64 a; void *where;', fill: '' }),
    'bpf/contract',
    'tiny_key.where is a pointer',
    'MUSTER_AS',
  );
  refused(
    'array',
    probeSource({ key: '__u64 a; char text[8];', fill: '' }),
    'bpf/contract',
    'tiny_key.text is a array',
    'MUSTER_AS',
  );
  refused('bits', probeSource({ key: '__u64 a : 60; __u64 b : 4;', fill: '' }), 'bpf/contract', 'bit-field');
  refused(
    'label',
    probeSource({ key: '__u64 Big;', fill: '' }),
    'bpf/contract',
    '"Big" is no label name',
    'MUSTER_NAME',
  );
  refused(
    'twice',
    probeSource({ key: '__u64 a; __u64 b MUSTER_NAME("a");', fill: '' }),
    'bpf/contract',
    'two labels are named a',
  );
});

test('a key of more words than supported is refused', () => {
  refused(
    'wide',
    probeSource({ key: '__u64 a[40] MUSTER_AS("stack");', fill: '', count: '' }),
    'bpf/contract',
    '40 words',
    'at most 32',
  );
});

test('programs that may sleep are refused: no grace period covers them', () => {
  refused(
    'sleepy',
    probeSource({ hook: 'fentry.s/do_nanosleep' }),
    'bpf/contract',
    'on_event may sleep',
    'without ".s"',
  );
});

test('too many tables are refused', () => {
  const many = Array.from({ length: 32 }, (_, i) => `MUSTER_COUNTER(t${i}, struct tiny_key, 8, "calls", "");`).join(
    '\n',
  );
  refused(
    'many',
    probeSource({ declare: many, count: 'muster_add(t0, &key, 1);' }),
    'bpf/contract',
    '32 tables, at most 29',
    'split',
  );
});

test('what is no BPF object is refused as such', () => {
  for (const [bytes, words] of [
    [new Uint8Array(), /no ELF/],
    [new TextEncoder().encode('#!/bin/sh\n'.repeat(20)), /no ELF/],
    [Uint8Array.from({ length: 200 }, (_, i) => [0x7f, 0x45, 0x4c, 0x46, 2, 1][i] ?? 0), /not a BPF object/],
  ] as const) {
    assert.throws(
      () => readObject(bytes),
      (e: unknown) => e instanceof MusterError && e.code === 'bpf/object' && words.test(e.message),
    );
  }
});

test('hints: one a row, a power of two, within bounds', () => {
  assert.deepEqual([1, 64, 65, 1024, 16384, 1 << 22].map(hintsFor), [64, 64, 128, 1024, 16384, 1 << 18]);
});
