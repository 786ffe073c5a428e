/**
 * Paths of cgroups by the inode number of their directories, which is the kernel's id of a cgroup: the tree is walked
 * when an id is not known, at most once a second. Below the mount that contract/cgroup-mount.ts chooses.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { cgroupMountOf } from '../../shared/contract/cgroup-mount.ts';

/** A tree larger than this is known in part. */
const directoriesMax = 100_000;
const walkEveryMs = 1000;

export class CgroupPaths {
  private paths: ReadonlyMap<bigint, string> = new Map();
  private walkedAtMs = -Infinity;

  constructor(
    private readonly nowMs: () => number,
    private readonly mountinfo = '/proc/self/mountinfo',
  ) {}

  /** Undefined: there is none of this id now, or this process may not see it. */
  pathOf(id: bigint): string | undefined {
    const known = this.paths.get(id);
    if (known !== undefined || this.nowMs() - this.walkedAtMs < walkEveryMs) return known;
    this.walkedAtMs = this.nowMs();
    // What is gone keeps its path for those who ask late: an inode number of a cgroup is not used again.
    const gone = [...this.paths].slice(-directoriesMax);
    this.paths = new Map([...gone, ...walk(this.mountinfo)]);
    return this.paths.get(id);
  }
}

function walk(mountinfo: string): Map<bigint, string> {
  const found = new Map<bigint, string>();
  let mount;
  try {
    mount = cgroupMountOf(readFileSync(mountinfo, 'utf8'));
  } catch {
    return found;
  }
  if (!mount) return found;
  const root = mount.root === '/' ? '' : mount.root;
  const open = [''];
  for (let path = open.pop(); path !== undefined && found.size < directoriesMax; path = open.pop()) {
    const directory = mount.directory + path;
    try {
      found.set(statSync(directory, { bigint: true }).ino, root + path || '/');
      for (const entry of readdirSync(directory, { withFileTypes: true }))
        if (entry.isDirectory()) open.push(`${path}/${entry.name}`);
    } catch {
      // Gone in between, or closed to this process: its subtree stays without names.
    }
  }
  return found;
}
