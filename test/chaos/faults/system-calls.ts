/**
 * Death at a system call: strace attaches to every thread of a running process and kills it at the Nth call of one kind,
 * before the call is done. Kinds are taken in turn, so that a long run has been through all of them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Role } from '../role.ts';
import { pause, type Fault } from './fault.ts';

/** Calls made while running (strace -c), and calls that start-up makes too. */
const running: Readonly<Record<'agent' | 'aggregator', readonly string[]>> = {
  agent: [
    'write',
    'bpf',
    'read',
    'openat',
    'close',
    'membarrier',
    'getdents64',
    'newfstatat',
    'epoll_pwait',
    'futex',
    'mprotect',
    'madvise',
    'munmap',
    'mmap',
    'brk',
  ],
  aggregator: ['write', 'read', 'epoll_pwait', 'futex', 'madvise', 'mprotect', 'munmap', 'mmap'],
};
const starting: Readonly<Record<'agent' | 'aggregator', readonly string[]>> = {
  agent: [
    'bpf',
    'flock',
    'mmap',
    'openat',
    'connect',
    'socket',
    'write',
    'setresuid',
    'close',
    'epoll_ctl',
    'membarrier',
  ],
  aggregator: ['connect', 'socket', 'write', 'read', 'getsockopt', 'mmap', 'openat', 'close', 'epoll_ctl'],
};
const patienceMs = 4_000;
const tries = 4;

function deathAt(victim: 'agent' | 'aggregator', when: 'running' | 'starting'): Fault {
  const calls = (when === 'running' ? running : starting)[victim];
  let turn = 0;
  return {
    kind: `kill ${victim} at a call while ${when}`,
    crash: when === 'running',
    inflict: async (world, random) => {
      const role = victim === 'agent' ? random.pick(world.hosts).agent : world.aggregator;
      for (let i = 0; i < tries; i++) {
        await role.ready();
        const call = calls[turn++ % calls.length]!;
        const nth = when === 'running' ? random.between(1, 6) : random.between(1, 30);
        if (when === 'starting') {
          const { starts } = role;
          await role.kill();
          while (role.starts === starts) await pause(2);
        }
        if (await dies(role, call, nth)) return { what: `${role.name} at ${call} number ${nth}`, endedAt: role.diedAt };
      }
      return undefined;
    },
  };
}

/** True if the process died at the call; else strace has let go of it. */
async function dies(role: Role, call: string, nth: number): Promise<boolean> {
  const { pid, starts, diedAt } = role;
  const words = [
    '-f',
    '-q',
    '-o',
    '/dev/null',
    '-e',
    `trace=${call}`,
    '-e',
    `inject=${call}:signal=KILL:when=${nth}`,
    '-p',
    String(pid),
  ];
  const strace = spawn('strace', words, { stdio: 'ignore' });
  const ended = once(strace, 'exit');
  const died = (): boolean => role.diedAt !== diedAt || role.starts !== starts;
  for (
    const end = performance.now() + patienceMs;
    !died() && strace.exitCode === null && performance.now() < end;
    await pause(10)
  );
  if (strace.exitCode === null && strace.signalCode === null) strace.kill('SIGTERM');
  // Where the main thread died first, strace may wait for ever; the kernel frees what a dead tracer held.
  const late = setTimeout(() => strace.kill('SIGKILL'), 1_000);
  await ended;
  clearTimeout(late);
  // What strace let go of in the instant of its death.
  await pause(20);
  return died();
}

export const systemCallFaults: readonly Fault[] = [
  deathAt('agent', 'running'),
  deathAt('aggregator', 'running'),
  deathAt('agent', 'starting'),
  deathAt('aggregator', 'starting'),
];
