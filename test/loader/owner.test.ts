/** Opt-in labels: what is asked for stands in the schema and in the object's constants; what cannot be is refused. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseWith, withOwner } from '../../services/loader/load/owner.ts';
import { want } from '../../services/loader/load/wanted.ts';
import { readObject, type ObjectSpec } from '../../services/loader/object/object.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { compile, probeSource } from './compile.ts';

const key = 'struct muster_owner owner; struct muster_comm comm; MUSTER_BUCKET;';
const owned = compile(
  'owned',
  probeSource({
    key,
    declare: 'MUSTER_HISTOGRAM(tiny, struct tiny_key, 64, "ns", "owned", MUSTER_OWNED);',
    fill: 'key.owner = muster_owner(); key.comm = muster_comm();',
    count: 'muster_observe(tiny, &key, 1);',
  }),
);
const everywhere = { path: '', id: 0n, level: 0 };
const wanted = (spec: ObjectSpec, labels: readonly string[]): ReturnType<typeof want> =>
  want('owned', spec, 2, everywhere, new Map(), { labels, cgroupV1: 5 });
const constant = (spec: ObjectSpec, bytes: Uint8Array, name: string): number =>
  new DataView(bytes.buffer).getUint32(spec.constants.variables.get(name)!.offset, true);

const refused = (act: () => unknown, words: RegExp): void =>
  assert.throws(act, (error: unknown) => error instanceof MusterError && words.test(error.threeLines));

test('without a label asked for, the owner is no part of the schema, and no part of it is filled in', () => {
  const spec = readObject(owned);
  assert.deepEqual(spec.owned, new Map([['tiny', 'task']]));
  const plain = wanted(spec, []);
  assert.deepEqual(
    plain.tables[0]!.labels.map((l) => l.name),
    ['comm', 'bucket'],
  );
  assert.equal(constant(spec, plain.constants, 'muster_owner_parts'), 0);
});

test('labels that are asked for join the schema before the bucket, read their word, and change the schema hash', () => {
  const spec = readObject(owned);
  const chosen = wanted(spec, ['process', 'cgroup', 'pod']);
  assert.deepEqual(chosen.tables[0]!.labels, [
    { name: 'comm', meaning: 'comm', offset: 16, size: 16 },
    { name: 'cgroup', meaning: 'cgroup', offset: 0, size: 8 },
    { name: 'pod', meaning: 'pod', offset: 0, size: 8 },
    { name: 'process', meaning: 'process', offset: 8, size: 8 },
    { name: 'bucket', meaning: 'bucket', offset: 32, size: 8 },
  ]);
  assert.equal(constant(spec, chosen.constants, 'muster_owner_parts'), 3);
  assert.equal(constant(spec, chosen.constants, 'muster_cgroup_v1'), 5);
  assert.equal(constant(spec, wanted(spec, ['container']).constants, 'muster_owner_parts'), 1);
  assert.equal(constant(spec, wanted(spec, ['cmdline']).constants, 'muster_owner_parts'), 2);
  const hashes = [[], ['cgroup'], ['pod'], ['process'], ['cmdline'], ['cgroup', 'process']];
  assert.equal(new Set(hashes.map((labels) => wanted(spec, labels).schemaHash)).size, hashes.length);
});

test('what cannot be had is refused with what can', () => {
  const spec = readObject(owned);
  refused(() => wanted(spec, ['cgruop']), /no opt-in label is named cgruop[^]*did you mean cgroup/);
  refused(() => wanted(readObject(compile('plain', probeSource())), ['cgroup']), /no place for it[^]*MUSTER_OWNED/);
  const named = {
    tables: [{ ...spec.tables[0]!, labels: [{ name: 'process', meaning: 'u64', offset: 16, size: 8 }] }],
    owned: new Map([['tiny', 'task' as const]]),
  };
  refused(() => withOwner('owned', named, ['process']), /has a label of this name/);
  refused(() => parseWith(['syscalls']), /expected PROBE=LABEL/);
  assert.deepEqual(
    [...parseWith(['a=cgroup', 'a=pod,cgroup', 'b=process'])],
    [
      ['a', ['cgroup', 'pod']],
      ['b', ['process']],
    ],
  );
});

test('of a socket its cgroup can be told, where cgroups are of version 2, and no process', () => {
  for (const probe of ['tcp_rtt', 'tcp_retransmits']) {
    const spec = readObject(readFileSync(`build/bpf/${probe}.bpf.o`));
    assert.deepEqual([...spec.owned.values()], ['socket']);
    const wanted = (labels: string[], cgroupV1 = 0): unknown =>
      want(probe, spec, 2, everywhere, new Map(), { labels, cgroupV1 });
    refused(() => wanted(['cgroup', 'process']), /of sockets, which know no process[^]*cgroup, container, pod/);
    refused(() => wanted(['cmdline', 'process']), /no cmdline and no process/);
    refused(() => wanted(['pod'], 5), /version 2 alone; this host has none/);
    wanted(['cgroup', 'container', 'pod']);
    wanted([], 5);
  }
  assert.deepEqual([...readObject(readFileSync('build/bpf/tcp_bytes.bpf.o')).owned.values()], ['task']);
});

test('a declaration and a key that disagree about the owner are refused', () => {
  const declare = (flag: string): string => `MUSTER_COUNTER(tiny, struct tiny_key, 64, "calls", "x"${flag});`;
  const fill = 'key.comm = muster_comm();';
  const forgotten = probeSource({
    key: 'struct muster_owner owner; struct muster_comm comm;',
    declare: declare(''),
    fill,
  });
  refused(() => readObject(compile('forgotten', forgotten)), /not declared so[^]*MUSTER_OWNED/);
  const absent = probeSource({ key: '__u64 x; struct muster_comm comm;', declare: declare(', MUSTER_OWNED'), fill });
  refused(() => readObject(compile('absent', absent)), /its key has no owner[^]*begin the key/);
  const late = probeSource({
    key: 'struct muster_comm comm; struct muster_owner owner;',
    declare: declare(', MUSTER_OWNED'),
    fill,
  });
  refused(() => readObject(compile('late', late)), /not the first member/);
});
