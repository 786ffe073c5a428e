/** Names that the running kernel gives to values: found in its BTF, put into the labels that ask for them. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { withKernelNames } from '../../services/loader/load/kernel-names.ts';
import { kernelEnum } from '../../services/loader/object/kernel-btf.ts';
import { readBtf } from '../../services/loader/object/btf.ts';
import type { TableSchema } from '../../services/shared/contract/lineage.ts';
import { requireOrSkip } from '../require.ts';

const own = '/sys/kernel/btf/vmlinux';

test('an enum of this kernel is the one that the full reader finds', (t) => {
  if (!requireOrSkip(t, 'the kernel’s BTF', existsSync(own))) return;
  const bytes = readFileSync(own);
  for (const name of ['bpf_map_type', 'pid_type', 'hrtimer_restart']) {
    const full = readBtf(bytes).find((type) => type.kind === 'enum' && type.name === name);
    assert.deepEqual(kernelEnum(bytes, name), full?.kind === 'enum' ? { ...full.names } : undefined);
  }
  assert.equal(kernelEnum(bytes, 'no_such_enum'), undefined);
  assert.equal(kernelEnum(bytes, 'pid_typ'), undefined, 'whole names only');
});

test('broken bytes give nothing, and end', (t) => {
  if (!requireOrSkip(t, 'the kernel’s BTF', existsSync(own))) return;
  const bytes = readFileSync(own).subarray(0, 4096);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 8 }), fc.nat(4096), (changes, length) => {
      const broken = new Uint8Array(bytes.subarray(0, length));
      for (const [at, value] of changes) if (at < length) broken[at] = value;
      const found = kernelEnum(broken, 'pid_type');
      assert.ok(found === undefined || typeof found === 'object');
    }),
    { numRuns: 500 },
  );
});

const table = (meaning: string): TableSchema => ({
  name: 'drops',
  kind: 'counter',
  unit: 'packets',
  help: '',
  rows: 1,
  hints: 1,
  keyWords: 1,
  valueCount: 1,
  labels: [{ name: 'reason', meaning, offset: 0, size: 4, names: { '0': 'own' } }],
});

test('a label takes its kernel’s names, without what they all begin with; others keep theirs', () => {
  const names = { '2': 'SKB_CONSUMED', '3': 'SKB_DROP_REASON_NO_SOCKET' };
  const asked: string[] = [];
  const find = (name: string): Record<string, string> => {
    asked.push(name);
    return names;
  };
  assert.deepEqual(withKernelNames([table('drop_reason')], find)[0]!.labels[0]!.names, {
    '2': 'SKB_CONSUMED',
    '3': 'NO_SOCKET',
  });
  assert.deepEqual(asked, ['skb_drop_reason']);
  assert.deepEqual(withKernelNames([table('enum')], find), [table('enum')]);
  assert.deepEqual(withKernelNames([table('drop_reason')], () => undefined)[0]!.labels[0]!.names, {});
});
