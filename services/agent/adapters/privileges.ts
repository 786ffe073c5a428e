/**
 * Gives up every privilege once all code is loaded: groups, gid, uid, in all threads (glibc applies them to each). The
 * process is to be started with an empty bounding set and no_new_privs (setpriv), for these are per thread and nothing
 * in Node reaches the others. Source: capabilities(7), credentials(7); docs/decisions/0004.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { z } from 'zod';
import { dropBoundingSet, setNoNewPrivileges } from '../../shared/adapters/libc.ts';
import { MusterError } from '../../shared/runtime/errors.ts';

const threadStatus = z.object({
  Uid: z.string(),
  CapPrm: z.string(),
  CapEff: z.string(),
  CapBnd: z.string(),
  NoNewPrivs: z.string(),
});

export interface Privileges {
  /** Real, effective, saved and file-system uid of all threads when they agree. */
  readonly uids: readonly number[];
  /** The union over all threads, in hexadecimal without leading zeros. */
  readonly effective: string;
  readonly permitted: string;
  readonly bounding: string;
  /** True when all threads have it. */
  readonly noNewPrivs: boolean;
  readonly threads: number;
}

/** What the kernel says of every thread of this process. */
export function readPrivileges(): Privileges {
  const uids = new Set<number>();
  let [effective, permitted, bounding] = [0n, 0n, 0n];
  let noNewPrivs = true;
  let threads = 0;
  for (const task of readdirSync('/proc/self/task')) {
    let text: string;
    try {
      text = readFileSync(`/proc/self/task/${task}/status`, 'utf8');
    } catch {
      continue; // a thread that has just ended
    }
    const status = threadStatus.parse(Object.fromEntries(text.split('\n').map((line) => line.split(/:\s*/, 2))));
    threads++;
    for (const id of status.Uid.split(/\s+/)) uids.add(Number(id));
    effective |= BigInt(`0x${status.CapEff}`);
    permitted |= BigInt(`0x${status.CapPrm}`);
    bounding |= BigInt(`0x${status.CapBnd}`);
    noNewPrivs &&= status.NoNewPrivs.trim() === '1';
  }
  return {
    uids: [...uids],
    effective: effective.toString(16),
    permitted: permitted.toString(16),
    bounding: bounding.toString(16),
    noNewPrivs,
    threads,
  };
}

/** Becomes `uid` and `gid` without groups. Throws MusterError config/invalid when anything is left that could act. */
export function dropPrivileges(uid: number, gid: number): Privileges {
  if (uid === 0)
    throw new MusterError('config/invalid', 'become --uid 0: the agent is not to be root', {
      remedy: 'choose another uid, e.g. 65534',
    });
  try {
    // Without setpriv this reaches the main thread alone; the ready line then says what the others keep.
    dropBoundingSet();
    setNoNewPrivileges();
    process.setgroups!([]);
    process.setgid!(gid);
    process.setuid!(uid);
  } catch (cause) {
    throw new MusterError('config/invalid', `become uid ${uid}, gid ${gid}`, {
      cause,
      remedy: 'start as root or with CAP_SETUID and CAP_SETGID',
    });
  }
  const left = readPrivileges();
  if (left.effective !== '0' || left.permitted !== '0' || left.uids.some((u) => u !== uid)) {
    throw new MusterError('config/invalid', 'drop privileges: some are left', {
      values: { uids: left.uids.join(','), effective: left.effective, permitted: left.permitted },
      remedy: 'start with: setpriv --bounding-set=-all --no-new-privs',
    });
  }
  return left;
}

/** One word for the ready line and the log. */
export function describePrivileges(p: Privileges): string {
  if (p.effective !== '0' || p.permitted !== '0') return `effective 0x${p.effective}, permitted 0x${p.permitted}`;
  if (p.bounding !== '0')
    return `none, but the bounding set is 0x${p.bounding}: start through setpriv --bounding-set=-all`;
  return p.noNewPrivs ? 'none' : 'none, but no_new_privs is off: start through setpriv --no-new-privs';
}
