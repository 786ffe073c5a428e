/**
 * Which hierarchy names cgroups, so that loader and agent mean the same: cgroup v2 wherever it is mounted, alone or
 * beside v1 hierarchies (hybrid); on a host without it the first of these v1 controllers. Source: cgroups(7), proc(5).
 */
export interface CgroupMount {
  readonly version: 1 | 2;
  readonly directory: string;
  /** Of version 1: as in the kernel's enum cgroup_subsys_id, without _cgrp_id. */
  readonly controller?: string;
  /** The cgroup that is mounted there: "/" but in a container. */
  readonly root: string;
}

const controllers: readonly string[] = ['memory', 'pids', 'cpu'];

/** From the text of /proc/self/mountinfo; undefined where there are no cgroups at all. */
export function cgroupMountOf(mountinfo: string): CgroupMount | undefined {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [left, right] = line.split(' - ') as [string, string | undefined];
    const fields = left.split(' ');
    const [type, , options] = (right ?? '').split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    return [{ type, root: plain(fields[3]!), directory: plain(fields[4]!), options: (options ?? '').split(',') }];
  });
  const second = mounts.find((m) => m.type === 'cgroup2');
  if (second) return { version: 2, directory: second.directory, root: second.root };
  for (const controller of controllers) {
    const first = mounts.find((m) => m.options.includes(controller));
    if (first) return { version: 1, directory: first.directory, controller, root: first.root };
  }
  return undefined;
}

/** Blanks and the like stand as octal numbers. */
const plain = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
