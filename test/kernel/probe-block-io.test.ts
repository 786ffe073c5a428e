/** block_io on a loop device of its own: known requests, and the device's own account in /sys/block/…/stat. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Generator } from './generator.ts';
import { labelled, sumOf } from './labelled.ts';
import { loadProbe, requireBpf } from './probe.ts';
import { requireOrSkip } from '../require.ts';

const blocks = 400;
const blockBytes = 4096;

/** A disk of zeros that nobody else uses, for the length of the test; undefined where there are no loop devices. */
function ownDisk(t: TestContext): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'muster-disk-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const image = join(folder, 'image');
  writeFileSync(image, Buffer.alloc(blocks * blockBytes));
  try {
    const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8', stdio: 'pipe' }).trim();
    t.after(() => {
      execFileSync('losetup', ['--detach', device]);
    });
    return device;
  } catch {
    return undefined;
  }
}

/** Requests and 512-byte sectors read, requests and sectors written. Source: Documentation/block/stat.rst. */
function account(disk: string): bigint[] {
  const fields = readFileSync(`/sys/block/${disk}/stat`, 'utf8').trim().split(/\s+/).map(BigInt);
  return [fields[0]!, fields[2]!, fields[4]!, fields[6]!];
}

test('requests and bytes of a disk are those that were made, and those of its own account', async (t) => {
  if (!requireBpf(t)) return;
  const device = ownDisk(t);
  if (!requireOrSkip(t, 'loop devices', device !== undefined)) return;
  const disk = basename(device!);
  const probe = loadProbe(t, 'block_io');
  const before = account(disk);
  const generator = await Generator.act(['reads', blocks, device!]);
  const { ns } = await generator.run();
  await generator.end();
  execFileSync('dd', ['if=/dev/zero', `of=${device}`, 'bs=64k', 'count=20', 'oflag=direct', 'conv=fsync'], {
    stdio: 'ignore',
  });
  const after = account(disk);
  const rows = labelled(probe, 'block_io');
  const bytes = labelled(probe, 'block_bytes');
  const [reads, sectorsRead, writes, sectorsWritten] = after.map((n, i) => n - before[i]!) as [
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  const read = sumOf(rows, { device: disk, operation: 'read', outcome: 'ok' });
  const written = sumOf(rows, { device: disk, operation: 'write', outcome: 'ok' });
  t.diagnostic(
    `${read.count} reads of ${read.sum / read.count} ns, ${written.count} writes; the disk has ${reads}, ${writes}`,
  );
  // Opening a disk for writing may look for partitions: a few reads more, in the disk's account too.
  assert.equal(read.count, reads);
  assert.ok(read.count >= BigInt(blocks) && read.count <= BigInt(blocks) + 20n);
  assert.equal(sumOf(bytes, { device: disk, operation: 'read' }).count, sectorsRead * 512n);
  // The flush at the end is a write without data in the disk's account.
  const flushed = sumOf(rows, { device: disk, operation: 'flush', outcome: 'ok' });
  assert.deepEqual([written.count, flushed.count, writes], [20n, 1n, 21n]);
  assert.equal(sumOf(bytes, { device: disk, operation: 'write' }).count, sectorsWritten * 512n);
  assert.equal(sectorsWritten * 512n, 20n * 65536n);
  // One after the other: the device's times are within the reader's.
  assert.ok(read.sum > 0n && read.sum <= (BigInt(ns[0]!) * 11n) / 10n + 20_000_000n, `${read.sum} of ${ns[0]} ns`);
  // This host's own disks may be busy; their requests have names as well.
  assert.ok(
    rows.every((row) => row.labels['device'] !== ''),
    'every request has a disk',
  );
});

test('writes that must reach the medium are counted once, whatever the kernel makes of them', async (t) => {
  if (!requireBpf(t)) return;
  const device = ownDisk(t);
  if (!requireOrSkip(t, 'loop devices', device !== undefined)) return;
  const disk = basename(device!);
  const probe = loadProbe(t, 'block_io');
  const before = account(disk);
  execFileSync('dd', ['if=/dev/zero', `of=${device}`, 'bs=8k', 'count=50', 'oflag=direct,dsync'], { stdio: 'ignore' });
  const sectors = account(disk)[3]! - before[3]!;
  const written = sumOf(labelled(probe, 'block_io'), { device: disk, operation: 'write', outcome: 'ok' });
  const bytes = sumOf(labelled(probe, 'block_bytes'), { device: disk, operation: 'write' });
  assert.deepEqual([written.count, bytes.count, sectors * 512n], [50n, 50n * 8192n, 50n * 8192n]);
});
