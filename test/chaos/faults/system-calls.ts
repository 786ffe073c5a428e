/**
 * Death at a system call, and calls that fail: strace attaches to every thread of a running process and kills it at the Nth call of one kind,
 * before the call is done. Kinds are taken in turn, so that a long run has been through all of them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Role } from '../role.ts';
import { over, pause, type Fault } from './fault.ts';

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
const patienceMs = 2_500;
const tries = 4;
const failMs = 1_500;

function deathAt(victim: 'agent' | 'aggregator', when: 'running' | 'starting'): Fault {
  const calls = (when === 'running' ? running : starting)[victim];
  let turn = 0;
  return {
    kind: `kill ${victim} at a call while ${when}`,
    crash: when === 'running',
    variants: calls.length,
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

/** Errors that a kernel gives for these calls, taken in turn. A futex that fails would be no kernel's doing. */
const failures: Readonly<Record<'agent' | 'aggregator', readonly (readonly [call: string, error: string])[]>> = {
  agent: [
    ['write', 'EPIPE'],
    ['bpf', 'EPERM'],
    ['openat', 'EMFILE'],
    ['read', 'EIO'],
    ['membarrier', 'EPERM'],
    ['getdents64', 'EIO'],
    ['newfstatat', 'EACCES'],
    ['epoll_pwait', 'EINTR'],
    ['mmap', 'ENOMEM'],
    ['bpf', 'ENOMEM'],
    ['close', 'EINTR'],
  ],
  aggregator: [
    ['write', 'EPIPE'],
    ['read', 'ECONNRESET'],
    ['epoll_pwait', 'EINTR'],
    ['mmap', 'ENOMEM'],
    ['madvise', 'EAGAIN'],
  ],
};

function failureOf(victim: 'agent' | 'aggregator'): Fault {
  let turn = 0;
  return {
    kind: `calls of ${victim} fail`,
    variants: failures[victim].length,
    inflict: async (world, random) => {
      const role = victim === 'agent' ? random.pick(world.hosts).agent : world.aggregator;
      for (let i = 0; i < tries; i++) {
        await role.ready();
        const [call, error] = failures[victim][turn++ % failures[victim].length]!;
        const first = random.between(1, 4);
        const last = first + random.below(3);
        const made = await injected(role, call, `error=${error}:when=${first}..${last}`, failMs);
        if (made > 0) return over(`${role.name}: ${call} gives ${error} ${made} times`);
      }
      return undefined;
    },
  };
}

/** Lets calls fail for a while; how many did. */
async function injected(role: Role, call: string, what: string, ms: number): Promise<number> {
  const words = ['-f', '-q', '-e', `trace=${call}`, '-e', `inject=${call}:${what}`, '-p', String(role.pid)];
  const strace = spawn('strace', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(strace, 'exit');
  let said = '';
  strace.stderr.setEncoding('latin1').on('data', (text: string) => (said += text));
  await Promise.race([pause(ms), ended]);
  strace.kill('SIGTERM');
  const late = setTimeout(() => strace.kill('SIGKILL'), 1_000);
  await ended;
  clearTimeout(late);
  return said.split('(INJECTED)').length - 1;
}

export const systemCallFaults: readonly Fault[] = [
  deathAt('agent', 'running'),
  deathAt('aggregator', 'running'),
  deathAt('agent', 'starting'),
  deathAt('aggregator', 'starting'),
  failureOf('agent'),
  failureOf('aggregator'),
];
