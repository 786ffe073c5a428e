/**
 * Gives up every privilege once all code is loaded: groups, gid, uid, in all threads (glibc applies them to each); all
 * but CAP_BPF, of the main thread, where the kernel lets no bpf() call pass without it (before 5.19). The process is to be started with an empty bounding set and no_new_privs (setpriv), for these are per thread and nothing
 * in Node reaches the others. Source: capabilities(7), credentials(7); docs/decisions/0004.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { z } from 'zod';
import { dropBoundingSet, keepPermitted, setCapabilities, setNoNewPrivileges } from '../../shared/adapters/libc.ts';
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

const CAP_BPF = 1n << 39n;

/**
 * Becomes `uid` and `gid` without groups. `bpfRefused` tells, once that is done, whether the kernel refuses bpf() to this
 * process: then CAP_BPF is kept. Throws MusterError config/invalid when anything else is left that could act, and
 * bpf/no-privilege when there is no CAP_BPF to keep.
 */
export function dropPrivileges(uid: number, gid: number, bpfRefused: () => boolean): Privileges {
  if (uid === 0)
    throw new MusterError('config/invalid', 'become --uid 0: the agent is not to be root', {
      remedy: 'choose another uid, e.g. 65534',
    });
  try {
    // Without setpriv this reaches the main thread alone; the ready line then says what the others keep.
    dropBoundingSet();
    setNoNewPrivileges();
    keepPermitted(true);
    process.setgroups!([]);
    process.setgid!(gid);
    process.setuid!(uid);
  } catch (cause) {
    throw new MusterError('config/invalid', `become uid ${uid}, gid ${gid}`, {
      cause,
      remedy: 'start as root or with CAP_SETUID and CAP_SETGID',
    });
  }
  const kept = bpfRefused() ? CAP_BPF : 0n;
  if (!setCapabilities(kept)) {
    setCapabilities(0n);
    requireBpf(true);
  }
  keepPermitted(false);
  const left = readPrivileges();
  const mask = kept.toString(16);
  if (left.effective !== mask || left.permitted !== mask || left.uids.some((u) => u !== uid)) {
    throw new MusterError('config/invalid', 'drop privileges: some are left', {
      values: { uids: left.uids.join(','), effective: left.effective, permitted: left.permitted },
      remedy: 'start with: setpriv --bounding-set=-all --no-new-privs',
    });
  }
  return left;
}

/** Refuses where every later bpf() call would be refused, with the way out. */
export function requireBpf(refused: boolean): void {
  if (!refused) return;
  throw new MusterError('bpf/no-privilege', 'read pinned maps: this kernel refuses it to a process without CAP_BPF', {
    cause: `Linux before 5.19 with kernel.unprivileged_bpf_disabled=${unprivilegedBpf()}: every bpf() call needs CAP_BPF there`,
    remedy:
      'start the agent as root through `setpriv --inh-caps=-all,+setuid,+setgid,+bpf setpriv --bounding-set=-all --no-new-privs`, as `muster up` does: it keeps CAP_BPF and nothing else; or use Linux 5.19 or newer',
  });
}

function unprivilegedBpf(): string {
  try {
    return readFileSync('/proc/sys/kernel/unprivileged_bpf_disabled', 'utf8').trim();
  } catch {
    return '?';
  }
}

/** All that an agent may have, on kernels before 5.19. */
export const onlyBpf = 'CAP_BPF alone';

/** One word for the ready line and the log. */
export function describePrivileges(p: Privileges): string {
  if (p.effective === CAP_BPF.toString(16) && p.permitted === p.effective && p.bounding === '0' && p.noNewPrivs)
    return onlyBpf;
  if (p.effective !== '0' || p.permitted !== '0') return `effective 0x${p.effective}, permitted 0x${p.permitted}`;
  if (p.bounding !== '0')
    return `none, but the bounding set is 0x${p.bounding}: start through setpriv --bounding-set=-all`;
  return p.noNewPrivs ? 'none' : 'none, but no_new_privs is off: start through setpriv --no-new-privs';
}
