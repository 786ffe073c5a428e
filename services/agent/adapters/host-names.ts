/**
 * Names that only this host knows (labels/names.ts), read from /proc and /sys without any privilege. Sources: proc(5),
 * cgroups(7), sysfs's ABI documents. What cannot be read has no name.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import type { NameKind } from '../labels/names.ts';
import { printable } from '../../shared/contract/printable.ts';
import { CgroupPaths } from './cgroup-paths.ts';

/** Of a command line, in bytes. */
const cmdlineBytesMax = 512;
const minorBits = 20n;

/** Where to look; other folders for tests. */
export interface HostFolders {
  readonly proc: string;
  readonly sys: string;
}

export function createHostNames(
  nowMs: () => number,
  { proc, sys }: HostFolders = { proc: '/proc', sys: '/sys' },
): (kind: NameKind, id: bigint) => string | undefined {
  const cgroups = new CgroupPaths(nowMs, `${proc}/self/mountinfo`);
  const reading: Readonly<Partial<Record<NameKind, (id: bigint) => string | undefined>>> = {
    cgroup: (id) => cgroups.pathOf(id),
    process: (id) => printable(readFileSync(`${proc}/${id}/comm`).subarray(0, -1)),
    cmdline: (id) => words(readFileSync(`${proc}/${id}/cmdline`)),
    device: (id) => basename(readlinkSync(`${sys}/dev/block/${id >> minorBits}:${id & ((1n << minorBits) - 1n)}`)),
    irq: (id) => readFileSync(`${sys}/kernel/irq/${id}/actions`, 'utf8').trim() || undefined,
    netdev: (id) =>
      readdirSync(`${sys}/class/net`).find(
        (name) => readFileSync(`${sys}/class/net/${name}/ifindex`, 'utf8').trim() === String(id),
      ),
  };
  return (kind, id) => {
    try {
      return reading[kind]?.(id) || undefined;
    } catch {
      return undefined;
    }
  };
}

/** The words of a command line, with a blank between them. */
function words(bytes: Buffer): string {
  const found: string[] = [];
  const end = Math.min(bytes.length, cmdlineBytesMax);
  for (let at = 0; at < end;) {
    const nul = bytes.indexOf(0, at);
    const stop = nul < 0 || nul > end ? end : nul;
    found.push(printable(bytes.subarray(at, stop)));
    at = stop + 1;
  }
  return found.join(' ').trimEnd() + (bytes.length > cmdlineBytesMax ? ' …' : '');
}
