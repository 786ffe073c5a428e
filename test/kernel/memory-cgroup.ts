/** A cgroup with little memory, for the tests of reclaim and of being killed: version 1 or 2, whichever has the controller. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface MemoryCgroup {
  /** Of its own `cgroup.procs`. */
  readonly directory: string;
  /** Processes killed in it so far. */
  kills(): bigint;
  /** Pages that left it so far: reclaimed, or freed by their owners (version 1); reclaimed (version 2). */
  pagesLeft(): bigint;
}

let made = 0;

/** Removed after the test; undefined where this machine has no memory controller to use. */
export function memoryCgroup(t: TestContext, limitBytes: number): MemoryCgroup | undefined {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  const first = /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup \S+ \S*\bmemory\b/m.exec(mounts)?.[1];
  const second = /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(mounts)?.[1];
  const root = first ?? second;
  if (root === undefined) return undefined;
  const directory = join(root, `muster-memory-${process.pid}-${++made}`);
  mkdirSync(directory);
  t.after(() => {
    rmdirSync(directory);
  });
  const limit = join(directory, first === undefined ? 'memory.max' : 'memory.limit_in_bytes');
  if (!existsSync(limit)) return undefined;
  writeFileSync(limit, String(limitBytes));
  const account = join(directory, first === undefined ? 'memory.events' : 'memory.oom_control');
  const number = (file: string, line: RegExp): bigint => BigInt(line.exec(readFileSync(file, 'utf8'))?.[1] ?? '0');
  return {
    directory,
    kills: () => number(account, /^oom_kill (\d+)$/m),
    pagesLeft: () =>
      number(join(directory, 'memory.stat'), first === undefined ? /^pgsteal (\d+)$/m : /^pgpgout (\d+)$/m),
  };
}
