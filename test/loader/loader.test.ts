/** Adopt, start anew, end: the loader's decisions, on a kernel in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tableBytes } from '../../services/loader/load/bill.ts';
import { kernelStructHas } from '../../services/loader/object/kernel-btf.ts';
import { skipsCounted } from '../../services/loader/load/hooks.ts';
import type { Scope, Wanted } from '../../services/loader/load/wanted.ts';
import { checkRowNames, parseRows, want } from '../../services/loader/load/wanted.ts';
import { bringUp } from '../../services/loader/loader.ts';
import type { ObjectSpec } from '../../services/loader/object/object.ts';
import { expectedConstants } from '../../services/loader/object/object.ts';
import { decodeControl } from '../../services/shared/contract/control.ts';
import type { TableSchema } from '../../services/shared/contract/lineage.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { FakeProbeKernel } from './fake-probe-kernel.ts';

const table: TableSchema = {
  name: 'tiny',
  kind: 'counter',
  unit: 'calls',
  help: 'small',
  rows: 100,
  hints: 128,
  keyWords: 3,
  valueCount: 1,
  labels: [
    { name: 'syscall', meaning: 'syscall', offset: 0, size: 8 },
    { name: 'comm', meaning: 'comm', offset: 8, size: 16 },
  ],
};

function spec(changes: Partial<TableSchema> = {}, optional = false): ObjectSpec {
  const tables = [{ ...table, ...changes }];
  const variables = new Map<string, { offset: number; size: number }>();
  let end = 0;
  for (const [name, size] of expectedConstants(tables)) {
    end = Math.ceil(end / size) * size;
    variables.set(name, { offset: end, size });
    end += size;
  }
  return {
    programs: [
      { name: 'on_event', hook: 'tp_btf/sys_enter', optional: false },
      ...(optional ? [{ name: 'more', hook: 'fentry/x', optional: true }] : []),
    ],
    tables,
    owned: new Map(),
    otherMaps: [],
    constants: { bytes: new Uint8Array(end), variables },
  };
}

const everywhere: Scope = { path: '', id: 0n, level: 0 };
const wanted = (
  options: { rows?: number; cpus?: number; scope?: Scope; changes?: Partial<TableSchema>; optional?: boolean } = {},
): Wanted =>
  want(
    'tiny',
    spec(options.changes, options.optional),
    options.cpus ?? 2,
    options.scope ?? everywhere,
    new Map(options.rows ? [['tiny', options.rows]] : []),
  );
const up = (kernel: FakeProbeKernel, w = wanted()): ReturnType<typeof bringUp> =>
  bringUp(kernel, w, new Uint8Array(), silentLog);

test('the first time a lineage starts, the second time it is adopted', () => {
  const kernel = new FakeProbeKernel();
  assert.equal(up(kernel).adopted, false);
  const again = up(kernel);
  assert.equal(again.adopted, true);
  assert.deepEqual(kernel.done, ['start 1', 'try', 'adopt 1']);
  assert.deepEqual(again.programs, [{ name: 'on_event', hook: 'tp_btf/sys_enter', state: 'attached' }]);
});

const changes: [string, (kernel: FakeProbeKernel) => Wanted][] = [
  ['rows', () => wanted({ rows: 50 })],
  ['possible CPUs', () => wanted({ cpus: 4 })],
  ['scope', () => wanted({ scope: { path: '/a', id: 5n, level: 1 } })],
  ['schema', () => wanted({ changes: { unit: 'events' } })],
  ['place of a label', () => wanted({ changes: { labels: [...table.labels].reverse() } })],
  [
    'boot',
    (kernel) => {
      kernel.bootId = 'c'.repeat(32);
      return wanted();
    },
  ],
  [
    'program',
    (kernel) => {
      kernel.tags = new Map([['on_event', 'fedcba9876543210']]);
      return wanted();
    },
  ],
  [
    'program added',
    (kernel) => {
      kernel.tags.set('more', '1111111111111111');
      return wanted({ optional: true });
    },
  ],
];
for (const [what, change] of changes) {
  test(`another ${what}: the old lineage ends, then a new one starts`, () => {
    const kernel = new FakeProbeKernel();
    up(kernel);
    assert.equal(up(kernel, change(kernel)).adopted, false);
    assert.deepEqual(kernel.done.slice(-2), ['end 1', 'start 2']);
  });
}

test('other help text alone changes no lineage', () => {
  const kernel = new FakeProbeKernel();
  up(kernel);
  assert.equal(up(kernel, wanted({ changes: { help: 'other words' } })).adopted, true);
});

test('another rate of a clock is another lineage, and told in the hook', () => {
  const kernel = new FakeProbeKernel();
  const programs = [{ name: 'on_event', hook: 'perf_event', optional: false }];
  const at = (options: { profileHz?: number }): ReturnType<typeof bringUp> =>
    up(kernel, want('tiny', { ...spec(), programs }, 2, everywhere, new Map(), options));
  assert.deepEqual(at({}).programs, [{ name: 'on_event', hook: 'perf_event/49hz', state: 'attached' }]);
  assert.equal(at({ profileHz: 49 }).adopted, true);
  assert.equal(at({ profileHz: 99 }).adopted, false);
  assert.deepEqual(kernel.done.slice(-2), ['end 1', 'start 2']);
});

test('a lineage whose program was detached is not continued; its maps are left alone', () => {
  const kernel = new FakeProbeKernel();
  const first = up(kernel);
  kernel.end('tiny', first.uuid);
  assert.equal(up(kernel).adopted, false);
  assert.deepEqual(kernel.done, ['start 1', 'end 1', 'start 2']);
});

test('of two that count, the elder is adopted and the other ends', () => {
  const kernel = new FakeProbeKernel();
  kernel.start(wanted(), new Uint8Array(), [], () => true);
  kernel.start(wanted(), new Uint8Array(), [], () => true);
  assert.equal(up(kernel).uuid, '1'.padStart(32, '0'));
  assert.deepEqual(kernel.done.slice(-3), ['try', 'end 2', 'adopt 1']);
});

test('a lineage that cannot be read is ended, never adopted', () => {
  const kernel = new FakeProbeKernel();
  kernel.pinned.set('9'.repeat(32), { uuid: '9'.repeat(32), meta: undefined, linked: ['on_event'] });
  assert.equal(up(kernel).adopted, false);
  assert.deepEqual(kernel.done, ['end 9', 'start 1']);
});

test('a probe that does not load leaves what runs untouched', () => {
  const kernel = new FakeProbeKernel();
  up(kernel);
  kernel.failure = new MusterError('bpf/verifier', 'load tiny');
  assert.throws(() => up(kernel), MusterError);
  assert.deepEqual(kernel.done, ['start 1', 'try']);
});

test('an optional program that the kernel lacks is reported with its reason', () => {
  const kernel = new FakeProbeKernel();
  kernel.missing.set('more', 'no such function');
  const { programs } = up(kernel, wanted({ optional: true }));
  assert.deepEqual(programs[1], { name: 'more', hook: 'fentry/x', state: 'missing', reason: 'no such function' });
  assert.equal(up(kernel, wanted({ optional: true })).adopted, true);
});

test('sizes and constants agree with each other and with the maps', () => {
  const w = wanted({ rows: 1000, cpus: 3, scope: { path: '/a/b', id: 0x123456789abcn, level: 2 } });
  assert.deepEqual(Object.fromEntries([...w.mapRows].filter(([name]) => name.endsWith('_1'))), {
    tiny_ids_1: 1000,
    tiny_hints_1: 3 * 1024,
    tiny_keys_1: 1001,
    tiny_cells_1: 3 * 1001,
    tiny_ledger_1: 3,
  });
  const at = spec().constants.variables;
  const view = new DataView(w.constants.buffer);
  const u32 = (name: string): number => view.getUint32(at.get(name)!.offset, true);
  assert.deepEqual(
    [u32('muster_cpus'), u32('tiny_rows'), u32('tiny_hint_mask'), u32('muster_scope_level')],
    [3, 1000, 1023, 2],
  );
  assert.equal(view.getBigUint64(at.get('muster_scope_id')!.offset, true), 0x123456789abcn);
  assert.deepEqual(decodeControl(new DataView(w.control.buffer).getBigUint64(0, true)), {
    slot: 0,
    state: 'counting',
    generation: 1n,
  });
});

test('wanting leaves the object’s own bytes alone, even where they are part of a Buffer', () => {
  const file = Buffer.alloc(4096, 7);
  const s = spec();
  const within = { ...s, constants: { ...s.constants, bytes: file.subarray(100, 100 + s.constants.bytes.length) } };
  want('tiny', within, 2, everywhere, new Map());
  assert.ok(file.every((b) => b === 7));
});

test('the bill follows from rows, values, hints and CPUs', () => {
  // 2 slots × (ids 1024 + 128 × 16 + 102 × 80; in pages and one more each: keys 101 × 32, cells 2 × 101 × 8, hints, ledger)
  assert.equal(tableBytes(table, 2), 2 * (11232 + 4 * 8192));
  assert.ok(tableBytes(table, 128) > tableBytes(table, 2));
});

test('--rows is checked', () => {
  assert.deepEqual(
    [...parseRows(['a=5', 'b_c=10'])],
    [
      ['a', 5],
      ['b_c', 10],
    ],
  );
  const invalid = (act: () => unknown, words: RegExp): void =>
    assert.throws(
      act,
      (e: unknown) => e instanceof MusterError && e.code === 'config/invalid' && words.test(e.message),
    );
  for (const word of ['a', 'a=', 'a=-1', '=5', 'A=5', 'a=1e3']) invalid(() => parseRows([word]), /expected TABLE=N/);
  invalid(() => wanted({ rows: 5_000_000 }), /1 to 4194304/);
  invalid(() => checkRowNames(new Map([['tinny', 5]]), [spec()]), /did you mean tiny\?/);
});

/** BTF of one struct without a name, with these members. */
function btfOf(...members: string[]): Uint8Array {
  const names = Buffer.from(`\0${members.join('\0')}\0`);
  const bytes = Buffer.alloc(24 + 12 + members.length * 12);
  const types = bytes.length - 24;
  bytes.writeUInt16LE(0xeb9f);
  bytes.writeUInt8(1, 2);
  for (const [i, word] of [24, 0, types, types, names.length].entries()) bytes.writeUInt32LE(word, 4 + i * 4);
  bytes.writeUInt32LE((4 << 24) | members.length, 24 + 4);
  members.forEach((name, i) => bytes.writeUInt32LE(names.indexOf(`\0${name}\0`) + 1, 24 + 12 + i * 12));
  return Buffer.concat([bytes, names]);
}

const structsOf =
  (...members: string[]) =>
  (...wanted: string[]): boolean =>
    kernelStructHas(btfOf(...members), ...wanted);

test('skips are counted, or known not to be', () => {
  const older = structsOf('func_name', 'name_len', 'offset', 'addr');
  const newer = structsOf('func_name', 'name_len', 'offset', 'addr', 'missed');
  for (const hook of ['tp_btf/sys_enter', 'raw_tp/sys_enter', 'fentry/x'])
    assert.equal(skipsCounted(hook, older), true, hook);
  for (const hook of ['tp/sched/sched_switch', 'uprobe/x']) {
    assert.equal(skipsCounted(hook, older), false, hook);
    assert.equal(skipsCounted(hook, newer), true, hook);
  }
  for (const hook of ['perf_event', 'uretprobe/x', 'kprobe/x', 'kretprobe/x', 'nothing'])
    assert.equal(skipsCounted(hook, newer), false, hook);
});
