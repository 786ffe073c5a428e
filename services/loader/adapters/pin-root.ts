/**
 * The pin root: a directory on bpffs that one loader at a time owns, by an exclusive lock. Directories 0750 root:group,
 * maps and programs 0660 root:group, links 0600 root, or 0640 root:group where reading one runs its program: the group can
 * read and count on, and can detach nothing.
 * A lineage appears by renaming its finished directory; what a killed loader left half-made (tmp-…) is swept away.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createMap, freezeMap, getPinned, mapType, pin, update } from '../../shared/adapters/libbpf.ts';
import { readMetaJson } from '../../shared/adapters/libbpf-pinned-tables.ts';
import { tryLockExclusive } from '../../shared/adapters/libc.ts';
import { inboxProgram } from '../../shared/contract/table-maps.ts';
import type { LineageMeta } from '../../shared/contract/lineage.ts';
import { missingPin, parseLineageMeta, programOfLink, type Missing } from '../../shared/contract/lineage.ts';
import { MusterError, describeCause } from '../../shared/runtime/errors.ts';
import type { Pinned } from '../load/choose.ts';

const BPF_FS_MAGIC = 0xcafe4a11;
const directoryMode = 0o750;
const mapMode = 0o660;
const linkMode = 0o600;
const walkMode = 0o640;
const endedName = 'ended';
const probeName = /^[a-z][a-z0-9_]*$/;
const uuidName = /^[0-9a-f]{32}$/;
const temporary = /^tmp-[0-9a-f]{32}$/;

export class PinRoot {
  private constructor(
    readonly path: string,
    private readonly gid: number,
    private readonly lockFd: number,
  ) {}

  /** Makes the directory if need be, locks it, sweeps it. Throws bpf/no-bpffs, bpf/pin, pins/locked. */
  static acquire(path: string, gid: number): PinRoot {
    requireBpffs(path);
    let fd: number;
    try {
      mkdirSync(path, { recursive: true, mode: directoryMode });
      chownSync(path, -1, gid);
      chmodSync(path, directoryMode);
      openParents(path, gid);
      fd = openSync(path, 'r');
    } catch (cause) {
      throw new MusterError('bpf/pin', `make pin root ${path}: ${describeCause(cause)}`, { cause });
    }
    if (!tryLockExclusive(fd, path)) {
      const holder = lockHolder(path);
      closeSync(fd);
      throw new MusterError('pins/locked', `lock pin root ${path}: another loader holds it`, {
        cause: holder ? `it is process ${holder}` : 'its process is not visible from here',
        ...(holder ? { values: { pid: holder } } : {}),
      });
    }
    const root = new PinRoot(path, gid, fd);
    root.sweep();
    return root;
  }

  release(): void {
    closeSync(this.lockFd);
  }

  probes(): string[] {
    return children(this.path).filter((name) => probeName.test(name));
  }

  /** States which probes could not be loaded, for the agent to pass on. */
  writeMissing(missing: readonly Missing[]): void {
    const path = join(this.path, missingPin);
    const part = `${path}-new`;
    const there = children(this.path).filter((name) => name.startsWith(missingPin));
    if (there.includes(`${missingPin}-new`)) unlinkSync(part);
    if (missing.length === 0) {
      if (there.includes(missingPin)) unlinkSync(path);
      return;
    }
    pinText(JSON.stringify(missing), part);
    this.grant(part, mapMode);
    renameSync(part, path);
  }

  /** Lineages of a probe, finished ones only. */
  lineages(probe: string): Pinned[] {
    return children(join(this.path, probe))
      .filter((name) => uuidName.test(name))
      .map((uuid) => {
        const directory = this.directory(probe, uuid);
        return { uuid, meta: readMeta(directory), linked: linkedPrograms(directory) };
      });
  }

  directory(probe: string, uuid: string): string {
    return join(this.path, probe, uuid);
  }

  /** A directory to pin into; finish() gives it its name. */
  begin(probe: string, uuid: string): string {
    for (const path of [join(this.path, probe), join(this.path, probe, `tmp-${uuid}`)]) {
      try {
        mkdirSync(path, { mode: directoryMode });
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') {
          throw new MusterError('bpf/pin', `make ${path}: ${describeCause(cause)}`, { cause });
        }
      }
    }
    this.grant(join(this.path, probe), directoryMode);
    return join(this.path, probe, `tmp-${uuid}`);
  }

  /** Gives the pins of a lineage their owners and modes; also after the group has changed. */
  grantAll(directory: string): void {
    for (const name of children(directory)) {
      // Who reads it has its program run: so the agent has its accounts counted. It detaches nothing.
      if (name === `link-${inboxProgram}`) this.grant(join(directory, name), walkMode);
      else if (name.startsWith('link-')) this.grant(join(directory, name), linkMode, 0);
      else this.grant(join(directory, name), mapMode);
    }
    this.grant(directory, directoryMode);
    this.grant(dirname(directory), directoryMode);
  }

  private grant(path: string, mode: number, gid = this.gid): void {
    try {
      chownSync(path, -1, gid);
      chmodSync(path, mode);
    } catch (cause) {
      throw new MusterError('bpf/pin', `set owner and mode of ${path}: ${describeCause(cause)}`, { cause });
    }
  }

  /** Removes a lineage's links: its programs run no more once this returns, but for those that run right now. */
  detach(directory: string): string[] {
    const programs = linkedPrograms(directory);
    for (const link of linksIn(directory)) {
      const path = join(directory, `link-${link}`);
      // The last reference must be dropped by closing: the kernel puts off what is dropped by removing a pin.
      const fd = getPinned(path);
      unlinkSync(path);
      if (fd !== undefined) closeSync(fd);
    }
    return programs;
  }

  /** Marks a lineage as one that nothing will count in again: the agent publishes what is left of it. */
  markEnded(directory: string): void {
    const fd = getPinned(join(directory, 'control'));
    if (fd === undefined) return;
    try {
      if (!children(directory).includes(endedName)) pin(fd, join(directory, endedName));
      this.grant(join(directory, endedName), mapMode);
    } finally {
      closeSync(fd);
    }
  }

  /** Removes a lineage's directory, and the probe's when it was the last. */
  remove(directory: string): void {
    this.detach(directory);
    for (const name of children(directory)) unlinkSync(join(directory, name));
    rmdirSync(directory);
    if (children(dirname(directory)).length === 0) rmdirSync(dirname(directory));
  }

  /** Removes everything, the root included. */
  removeAll(): void {
    for (const probe of this.probes())
      for (const name of children(join(this.path, probe))) this.remove(join(this.path, probe, name));
    for (const name of children(this.path)) if (name.startsWith(missingPin)) unlinkSync(join(this.path, name));
    if (children(this.path).length === 0) rmdirSync(this.path);
  }

  private sweep(): void {
    for (const probe of this.probes()) {
      for (const name of children(join(this.path, probe)))
        if (temporary.test(name)) this.remove(join(this.path, probe, name));
    }
  }
}

/** Pins a text as an array map of one value, zero-padded, that nobody changes any more. */
export function pinText(text: string, path: string): void {
  const bytes = Buffer.from(text);
  const value = Buffer.alloc(Math.ceil((bytes.length + 1) / 8) * 8);
  bytes.copy(value);
  const fd = createMap(mapType.array, 'muster_meta', 4, value.length, 1);
  try {
    update(fd, Buffer.alloc(4), value, path);
    freezeMap(fd, path);
    pin(fd, path);
  } finally {
    closeSync(fd);
  }
}

function children(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) return [];
    throw new MusterError('bpf/pin', `list ${path}: ${describeCause(cause)}`, { cause });
  }
}

const linksIn = (directory: string): string[] =>
  children(directory)
    .filter((name) => name.startsWith('link-'))
    .map((name) => name.slice('link-'.length));

const linkedPrograms = (directory: string): string[] => [...new Set(linksIn(directory).map(programOfLink))];

function readMeta(directory: string): LineageMeta | undefined {
  try {
    const json = readMetaJson(directory);
    return json === undefined ? undefined : parseLineageMeta(json);
  } catch {
    return undefined;
  }
}

/** The file system that `path` is on, or will be. */
function requireBpffs(path: string): void {
  for (let at = path; ; at = dirname(at)) {
    try {
      if ((statfsSync(at).type as number) === BPF_FS_MAGIC) return;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT' && at !== dirname(at)) continue;
      throw new MusterError('bpf/pin', `look at ${at}: ${describeCause(cause)}`, { cause });
    }
    throw new MusterError('bpf/no-bpffs', `pin below ${path}: it is not on a BPF file system`, {
      cause: `${at} is on another file system`,
      ...(path.startsWith('/sys/fs/bpf')
        ? {}
        : { remedy: `choose a --pin-root below /sys/fs/bpf, or mount -t bpf bpf ${at}` }),
    });
  }
}

/** systemd mounts bpffs 0700: the group needs to pass through it. Search permission alone shows no names. */
function openParents(path: string, gid: number): void {
  if (gid === 0) return;
  for (let at = dirname(path); (statfsSync(at).type as number) === BPF_FS_MAGIC; at = dirname(at)) {
    const { mode } = statSync(at);
    if ((mode & 0o001) === 0) chmodSync(at, (mode & 0o7777) | 0o011);
  }
}

/** Who holds the lock of a directory, from /proc/locks ("…: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE …"). */
function lockHolder(path: string): number | undefined {
  const { ino } = statSync(path);
  for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
    const match = /FLOCK +ADVISORY +WRITE +(\d+) +[0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line);
    if (match && Number(match[2]) === ino && Number(match[1]) > 0) return Number(match[1]);
  }
  return undefined;
}
