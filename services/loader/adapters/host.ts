/**
 * What the loader must know of this host, read from /proc, /sys and the cgroup v2 tree: boot, CPUs, privileges, scope,
 * object files. Sources: proc(5), capabilities(7), cgroups(7).
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, join, normalize } from 'node:path';
import { cgroupMountOf } from '../../shared/contract/cgroup-mount.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import { nearest } from '../../shared/runtime/settings.ts';
import type { Scope } from '../load/wanted.ts';
import { readObjectFile } from './object-file.ts';

/** 32 hex digits; another one after every boot. */
export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().replaceAll('-', '');

export const kernelRelease = (): string => readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();

const CAP_SYS_ADMIN = 21n;
const CAP_PERFMON = 38n;
const CAP_BPF = 39n;

/** Refuses early, with the way out, what the kernel would refuse with EPERM somewhere in the middle. */
export function requirePrivilege(): void {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (capability: bigint): boolean => ((effective >> capability) & 1n) === 1n;
  if (has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON))) return;
  throw new MusterError('bpf/no-privilege', 'load BPF programs: this process may not', {
    values: { uid: process.getuid?.() ?? -1, CapEff: `0x${effective.toString(16)}` },
    cause: `it has neither CAP_SYS_ADMIN nor CAP_BPF and CAP_PERFMON (CapEff 0x${effective.toString(16)})`,
  });
}

/** The kernel's own types, as BTF: megabytes, read where they are needed and not kept. */
export const kernelTypes = (): Uint8Array => readFileSync('/sys/kernel/btf/vmlinux');

/** CO-RE needs the kernel's own types. */
export function requireKernelTypes(): void {
  try {
    statSync('/sys/kernel/btf/vmlinux');
  } catch (cause) {
    throw new MusterError('bpf/no-btf', 'find the kernel’s type information', { cause });
  }
}

const wholeHost: Scope = { path: '', id: 0n, level: 0 };

/**
 * 0 where cgroup v2 names cgroups; else 1 + the number of the v1 controller that does (contract/cgroup-mount.ts).
 * `controllers`: the kernel's enum cgroup_subsys_id, which numbers them as it was configured.
 */
export function cgroupV1(controllers: () => Readonly<Record<string, string>> | undefined): number {
  const mount = cgroupMountOf(readFileSync('/proc/self/mountinfo', 'utf8'));
  if (mount?.version !== 1) return 0;
  const id = Object.entries(controllers() ?? {}).find(([, name]) => name === `${mount.controller}_cgrp_id`)?.[0];
  return id === undefined ? 0 : Number(id) + 1;
}

/** Where cgroup v2 is mounted: at the top, or beside v1 hierarchies (hybrid). */
function cgroupMount(): string {
  const mount = cgroupMountOf(readFileSync('/proc/self/mountinfo', 'utf8'));
  if (mount?.version === 2) return mount.directory;
  throw new MusterError('config/invalid', '--scope: cgroup v2 is not mounted on this host', {
    remedy: 'mount -t cgroup2 none /sys/fs/cgroup, or leave --scope out',
  });
}

/** "cgroup=PATH", absolute or as below the mount; undefined is the whole host. */
export function resolveScope(value: string | undefined): Scope {
  if (value === undefined || value === '') return wholeHost;
  const given = /^cgroup=(.+)$/.exec(value)?.[1];
  if (given === undefined) throw new MusterError('config/invalid', `--scope ${value}: expected cgroup=PATH`);
  const mount = cgroupMount();
  const below = given.startsWith(`${mount}/`) || given === mount ? given.slice(mount.length) : given;
  const path = normalize(`/${below}`).replace(/\/$/, '');
  if (path === '') return wholeHost;
  try {
    const directory = statSync(join(mount, path), { bigint: true });
    if (!directory.isDirectory()) throw new Error('not a directory');
    return { path, id: directory.ino, level: path.split('/').length - 1 };
  } catch (cause) {
    throw new MusterError('config/invalid', `--scope ${value}: no such cgroup below ${mount}`, {
      cause,
      remedy: `mkdir ${join(mount, path)}, or name another`,
    });
  }
}

const probeName = /^[a-z][a-z0-9_]*$/;
const objectSuffix = '.bpf.o';

/** A probe as named with --probes: a built-in's name, or the path of an object file. */
export function readProbe(word: string, objectsDirectory: string, links = true): { probe: string; bytes: Uint8Array } {
  const isPath = word.includes('/') || word.endsWith('.o');
  const path = isPath ? word : join(objectsDirectory, word + objectSuffix);
  const probe = basename(path)
    .replace(/(\.bpf)?\.o$/, '')
    .replaceAll('-', '_');
  if (!probeName.test(probe)) {
    throw new MusterError('bpf/object', `read ${path}: "${probe}" is no probe name`, {
      remedy: 'name the file with letters a–z, digits and _, e.g. my_probe.bpf.o',
    });
  }
  try {
    return { probe, bytes: readObjectFile(path, links) };
  } catch (cause) {
    if (isPath) throw cause;
    const built = namesIn(objectsDirectory);
    const close = nearest(word, built);
    throw new MusterError('bpf/object', `read probe ${word}: no object ${path}`, {
      cause,
      remedy: close
        ? `did you mean ${close}?`
        : built.length > 0
          ? `built-in probes: ${built.join(', ')}`
          : 'build it with deploy/build-bpf.sh',
    });
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((f) => f.endsWith(objectSuffix))
      .map((f) => f.slice(0, -objectSuffix.length));
  } catch {
    return [];
  }
}
