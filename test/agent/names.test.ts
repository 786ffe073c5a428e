/** Labels that need names of the host: what is known is shown, what is not stays a number, and a row is defined once. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CgroupPaths } from '../../services/agent/adapters/cgroup-paths.ts';
import { createHostNames } from '../../services/agent/adapters/host-names.ts';
import { decodeLabels, decodersOf, namesNeededBy } from '../../services/agent/labels/decoders.ts';
import { containerOf } from '../../services/agent/labels/container.ts';
import { NameBook, type NameKind } from '../../services/agent/labels/names.ts';
import { podOf } from '../../services/agent/labels/pod.ts';
import { cgroupMountOf } from '../../services/shared/contract/cgroup-mount.ts';
import type { LabelSchema } from '../../services/shared/contract/lineage.ts';

const label = (meaning: string, offset = 0, size = 8): LabelSchema => ({ name: meaning, meaning, offset, size });
const known: Readonly<Record<string, string>> = {
  'cgroup 7':
    '/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice/cri-containerd-' +
    'ab'.repeat(32) +
    '.scope',
  'cgroup 8': '/system.slice/cron.service',
  'process 812': 'nginx',
  'cmdline 812': 'nginx -g daemon off;',
  'device 8388609': 'sda1',
  'irq 24': 'virtio0',
  'netdev 2': 'eth0',
  'stack 99': 'main;work;read_[k]',
};
const nameOf = (kind: NameKind, id: bigint): string | undefined => known[`${kind} ${id}`];

function decode(meaning: string, id: bigint, comm?: string): string {
  const keys = new DataView(new ArrayBuffer(40));
  keys.setBigUint64(8, id, true);
  Buffer.from(keys.buffer).write(comm ?? '', 16);
  const labels = comm === undefined ? [label(meaning)] : [label(meaning), label('comm', 8, 16)];
  return decodeLabels(decodersOf(labels, { machine: 'x86_64', nameOf }), keys, 8)[0]!;
}

const cases: readonly (readonly [meaning: string, id: bigint, expected: string])[] = [
  ['cgroup', 8n, '/system.slice/cron.service'],
  ['cgroup', 9n, '9'],
  ['container', 7n, 'abababababab'],
  ['container', 8n, ''],
  ['container', 9n, '9'],
  ['pod', 7n, '11111111-2222-3333-4444-555555555555'],
  ['pod', 8n, ''],
  ['process', 812n, 'nginx[812]'],
  ['process', 813n, '813'],
  ['cmdline', 812n, 'nginx -g daemon off;'],
  ['cmdline', 813n, '813'],
  ['device', 8388609n, 'sda1'],
  ['device', 8388610n, '8:2'],
  ['irq', 24n, 'virtio0'],
  ['irq', 25n, '25'],
  ['netdev', 2n, 'eth0'],
  ['netdev', 3n, '3'],
  ['stack', 99n, 'main;work;read_[k]'],
  ['stack', 2n ** 64n - 1n, '[unnamed]'],
  ['stack', 0n, '[unknown]'],
];
for (const [meaning, id, expected] of cases) {
  test(`${meaning}: ${id} is ${JSON.stringify(expected)}`, () => assert.equal(decode(meaning, id), expected));
}

test('a process that is gone keeps the name that the kernel captured', () => {
  assert.equal(decode('process', 813n, 'short-lived'), 'short-lived[813]');
  assert.equal(decode('cmdline', 813n, 'short-lived'), 'short-lived[813]');
  assert.equal(decode('process', 812n, 'worker'), 'nginx[812]', 'the process by the name of its first thread');
});

test('containers and pods are told from the paths of each engine', () => {
  const id = '0123456789abcdef'.repeat(4);
  for (const path of [
    `/docker/${id}`,
    `/system.slice/docker-${id}.scope`,
    `/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/${id}`,
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod11111111_2222_3333_4444_555555555555.slice/crio-${id}.scope`,
    `/machine.slice/libpod-${id}.scope/container`,
  ])
    assert.equal(containerOf(path), '0123456789ab', path);
  assert.equal(containerOf('/lxc/web/system.slice'), 'web');
  assert.equal(containerOf('/lxc.payload.web'), 'web');
  assert.equal(containerOf('/user.slice'), '');
  assert.equal(
    podOf(`/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/${id}`),
    '11111111-2222-3333-4444-555555555555',
  );
  assert.equal(
    podOf('/kubepods.slice/kubepods-burstable-pod11111111_2222_3333_4444_555555555555.slice'),
    '11111111-2222-3333-4444-555555555555',
  );
  assert.equal(podOf('/podman'), '');
});

test('names are asked for once, kept for a generation and the one after, and asked for again when there was none', () => {
  const book = new NameBook();
  assert.equal(book.has('process', 1n), false);
  book.note(
    [
      { kind: 'process', id: 1n },
      { kind: 'process', id: 2n },
    ],
    ['init', undefined],
  );
  assert.equal(book.nameOf('process', 1n), 'init');
  assert.equal(book.nameOf('process', 2n), undefined);
  assert.equal(book.has('process', 2n), true, 'looked up in vain');
  book.turn();
  assert.equal(book.has('process', 2n), false);
  assert.equal(book.nameOf('process', 1n), 'init');
  book.turn();
  assert.equal(book.nameOf('process', 1n), 'init', 'used in the generation before');
  book.turn();
  book.turn();
  assert.equal(book.has('process', 1n), false, 'used in none of two');
});

test('which names a key needs follows from its labels', () => {
  assert.equal(namesNeededBy([label('comm', 0, 16), label('syscall', 16)]), undefined);
  const keys = new DataView(new ArrayBuffer(16));
  keys.setBigUint64(8, 5n, true);
  assert.deepEqual(namesNeededBy([label('pod', 8), label('comm', 0, 16)])!(keys, 0), [{ kind: 'cgroup', id: 5n }]);
});

const v1 =
  '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory';
const v2 = '41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw';
const named = '40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd';
test('the hierarchy that names cgroups: v2 wherever it is, else a controller of v1', () => {
  assert.deepEqual(cgroupMountOf(v2), { version: 2, directory: '/sys/fs/cgroup', root: '/' });
  const hybrid = `${v1}\n${named}\n${v2.replace('/sys/fs/cgroup', '/sys/fs/cgroup/unified')}`;
  assert.deepEqual(cgroupMountOf(hybrid), { version: 2, directory: '/sys/fs/cgroup/unified', root: '/' });
  assert.deepEqual(cgroupMountOf(`${named}\n${v1}`), {
    version: 1,
    directory: '/sys/fs/cgroup/memory',
    controller: 'memory',
    root: '/',
  });
  assert.equal(cgroupMountOf(named)?.version, undefined);
  assert.equal(cgroupMountOf('23 1 8:1 / / rw - ext4 /dev/sda1 rw'), undefined);
  assert.equal(cgroupMountOf(v2.replace('/sys/fs/cgroup ', '/my\\040cgroups '))?.directory, '/my cgroups');
});

test('cgroups are named by walking the tree below the mount, anew when one is not known, at most once a second', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-cgroups-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const tree = join(folder, 'tree');
  mkdirSync(join(tree, 'a/b'), { recursive: true });
  writeFileSync(join(folder, 'mountinfo'), `41 31 0:38 / ${tree} rw - cgroup2 cgroup2 rw\n`);
  const idOf = (path: string): bigint => statSync(join(tree, path), { bigint: true }).ino;
  let now = 0;
  const paths = new CgroupPaths(() => now, join(folder, 'mountinfo'));
  assert.equal(paths.pathOf(idOf('')), '/');
  assert.equal(paths.pathOf(idOf('a/b')), '/a/b');
  mkdirSync(join(tree, 'a/c'));
  const id = idOf('a/c');
  assert.equal(paths.pathOf(id), undefined, 'within the same second');
  now += 1000;
  assert.equal(paths.pathOf(id), '/a/c');
  rmSync(join(tree, 'a/c'), { recursive: true });
  now += 1000;
  assert.equal(paths.pathOf(0n), undefined);
  assert.equal(paths.pathOf(id), '/a/c', 'gone, and still known');
});

test('names of processes, disks, interrupts and network devices are read from /proc and /sys; nothing fails', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-host-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const write = (path: string, text: string): void => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  write('proc/12/comm', 'two words\n');
  write('proc/12/cmdline', 'prog\0--secret\0x\ty\0');
  write('proc/13/comm', 'kthread\n');
  write('proc/13/cmdline', '');
  write('proc/14/cmdline', `long\0${'x'.repeat(600)}\0`);
  write('sys/kernel/irq/24/actions', 'virtio0\n');
  write('sys/kernel/irq/25/actions', '\n');
  write('sys/class/net/eth0/ifindex', '2\n');
  mkdirSync(join(folder, 'sys/dev/block'), { recursive: true });
  symlinkSync('../../devices/pci/block/sda/sda1', join(folder, 'sys/dev/block/8:1'));
  const nameOf = createHostNames(() => 0, { proc: join(folder, 'proc'), sys: join(folder, 'sys') });
  assert.equal(nameOf('process', 12n), 'two words');
  assert.equal(nameOf('cmdline', 12n), 'prog --secret x\\x09y');
  assert.equal(nameOf('process', 13n), 'kthread');
  assert.equal(nameOf('cmdline', 13n), undefined);
  assert.match(nameOf('cmdline', 14n)!, /^long x{507} …$/);
  assert.equal(nameOf('process', 99n), undefined);
  assert.equal(nameOf('irq', 24n), 'virtio0');
  assert.equal(nameOf('irq', 25n), undefined);
  assert.equal(nameOf('netdev', 2n), 'eth0');
  assert.equal(nameOf('netdev', 3n), undefined);
  assert.equal(nameOf('device', (8n << 20n) | 1n), 'sda1');
  assert.equal(nameOf('device', (8n << 20n) | 2n), undefined);
  assert.equal(nameOf('cgroup', 1n), undefined);
  assert.equal(nameOf('stack', 1n), undefined);
});
