/** One probe beside those that count: taken in, recognized, or refused with all of them untouched. On a kernel in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admit, type Admitted } from '../../services/loader/loader.ts';
import type { Live } from '../../services/loader/load/clash.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { compile, probeSource } from './compile.ts';
import { FakeProbeKernel } from './fake-probe-kernel.ts';

const bytes = compile('tiny', probeSource());
const MiB = 2 ** 20;

function take(
  kernel: FakeProbeKernel,
  live: readonly Live[],
  options: {
    probe?: string;
    object?: Uint8Array;
    cpus?: number;
    budget?: number;
    rows?: number;
    replace?: boolean;
  } = {},
): Admitted {
  const { probe = 'tiny', object = bytes, cpus = 2, budget = 64 * MiB, rows, replace = false } = options;
  return admit(
    kernel,
    { probe, bytes: object },
    { cpus, scope: { path: '', id: 0n, level: 0 }, budgetBytes: budget },
    live,
    { rows: new Map(rows === undefined ? [] : [['tiny', rows]]), replace },
    silentLog,
  );
}

/** What an admission leaves counting. */
const liveAfter = ({ lineage, tables, shrunk }: Admitted): Live => ({
  probe: lineage.probe,
  uuid: lineage.uuid,
  tables,
  declaredRows: Object.fromEntries(shrunk.map((s) => [s.table, s.declared])),
  billBytes: lineage.billBytes,
});

const refused = (act: () => unknown, code: string, words: RegExp): void =>
  assert.throws(act, (error: unknown) => {
    assert.ok(error instanceof MusterError, String(error));
    assert.equal(error.code, code);
    assert.match(error.threeLines, words);
    return true;
  });

test('a second load of the same object changes nothing', () => {
  const kernel = new FakeProbeKernel();
  const first = take(kernel, []);
  assert.equal(first.usedBytes, first.lineage.billBytes);
  const again = take(kernel, [liveAfter(first)]);
  assert.equal(again.lineage.adopted, true);
  assert.equal(again.usedBytes, first.usedBytes, 'it is not billed twice');
  assert.deepEqual(kernel.done, ['start 1', 'try', 'adopt 1']);
});

test('another object under the same name is refused, unless it is to replace what counts', () => {
  const kernel = new FakeProbeKernel();
  const live = [liveAfter(take(kernel, []))];
  refused(() => take(kernel, live, { rows: 64 }), 'bpf/clash', /why: the size[^]*muster unload tiny[^]*--replace/);
  assert.deepEqual(kernel.done, ['start 1']);
  assert.equal(take(kernel, live, { rows: 64, replace: true }).lineage.adopted, false);
  assert.deepEqual(kernel.done, ['start 1', 'end 1', 'start 2']);
});

test('a table’s name that another probe has is refused', () => {
  const kernel = new FakeProbeKernel();
  const live = [{ ...liveAfter(take(kernel, [])), probe: 'other' }];
  refused(() => take(kernel, live, { replace: true }), 'bpf/clash', /table tiny: probe other[^]*muster unload other/);
});

test('what the others take is not free', () => {
  const kernel = new FakeProbeKernel();
  const live = [{ probe: 'other', uuid: '0', tables: [], declaredRows: {}, billBytes: 64 * MiB - 1000 }];
  refused(() => take(kernel, live), 'bpf/memory', /probe tiny needs \d\.\d MiB[^]*0\.0 MiB of the budget are free/);
  assert.deepEqual(kernel.done, []);
});

test('on 128 CPUs it is sized down, and recognized when there is more room later', () => {
  const kernel = new FakeProbeKernel();
  const first = take(kernel, [], { cpus: 128, budget: 3 * MiB });
  assert.deepEqual(
    first.shrunk.map((s) => [s.table, s.declared]),
    [['tiny', 1024]],
  );
  assert.ok(first.usedBytes <= 3 * MiB);
  const again = take(kernel, [liveAfter(first)], { cpus: 128, budget: 64 * MiB });
  assert.equal(again.lineage.adopted, true);
  assert.equal(again.tables[0]!.rows, first.tables[0]!.rows);
  assert.deepEqual(again.shrunk, first.shrunk);
});

test('rows of a table that it does not have, and an object that is none', () => {
  const kernel = new FakeProbeKernel();
  const other = compile(
    'mini',
    probeSource({
      declare: 'MUSTER_COUNTER(mini, struct tiny_key, 8, "calls", "");',
      count: 'muster_add(mini, &key, 1);',
    }),
  );
  refused(() => take(kernel, [], { object: other, rows: 5 }), 'config/invalid', /--rows tiny[^]*did you mean mini/);
  refused(() => take(kernel, [], { object: new TextEncoder().encode('int main;') }), 'bpf/object', /no ELF file/);
  assert.deepEqual(kernel.done, []);
});
