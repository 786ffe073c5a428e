/** What a run takes of the machine and gives back: cgroups, small file systems, pins. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { removePins } from '../../services/cli/adapters/up-driver.ts';

/** Where cgroup v2 is mounted, and this process's own folder there. */
export function cgroups(): { mount: string; own: string } | undefined {
  const mount = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type]) => type === 'cgroup2')?.[1];
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  return mount === undefined || own === undefined ? undefined : { mount, own: join(mount, own) };
}

/** A tmpfs of so many MiB; resolves the way to fill it and to free it again. */
export class SmallDisk {
  private readonly filler: string;

  constructor(
    readonly path: string,
    sizeMb: number,
  ) {
    mkdirSync(path, { recursive: true });
    run('mount', '-t', 'tmpfs', '-o', `size=${sizeMb}m,mode=755`, 'muster-chaos', path);
    this.filler = join(path, 'filler');
  }

  /** To the last block. */
  fill(): void {
    const { bavail, bsize } = statfsSync(this.path);
    if (bavail > 0) run('fallocate', '-l', String(bavail * bsize), this.filler);
  }

  free(): void {
    run('rm', '-f', this.filler);
  }

  unmount(): void {
    run('umount', this.path);
  }
}

export class Cgroup {
  constructor(readonly path: string) {
    mkdirSync(path);
  }

  /** The kernel lets go of it a moment after its last process has ended. */
  async remove(): Promise<void> {
    for (let left = 100; ; left--) {
      try {
        return rmdirSync(this.path);
      } catch (cause) {
        if (left === 0) throw cause;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}

export function unpin(root: string): void {
  removePins(root);
  if (existsSync(root)) throw new Error(`pins are left in ${root}`);
}

export function run(program: string, ...words: string[]): string {
  const { status, stderr, stdout, error } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${error?.message ?? stderr.trim()}`);
  return stdout;
}
