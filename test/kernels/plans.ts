/** Which machines there are: each kernel, and each fault that needs a machine of its own. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../integration/instance.ts';
import type { GuestPlan } from './guest.ts';
import { upgradeProbe } from './image.ts';
import type { Found, Kernel, Suite } from './kernels.ts';

/** Built on this host; the same bytes for every kernel. */
export const builtIn = readdirSync(join(root, 'build/bpf'))
  .filter((name) => name.endsWith('.bpf.o'))
  .map((name) => name.replace('.bpf.o', ''));
const few = ['syscalls', 'runqueue'];
const usual = { probes: few, interval: '2s' } as const;
/** Those that rely on no program of theirs being preempted by itself. */
const soleWriters = [...few, 'cpu_time', 'softirq', 'syscall_latency'];

export const clockAheadMs = 3_600_000;

export interface Plans {
  /** The six that run at once. */
  readonly six: readonly GuestPlan[];
  /** A second machine under the name of another. */
  readonly twin: GuestPlan;
  /** One whose kernel lacks what Muster needs, where it can be had. */
  readonly old: GuestPlan | undefined;
}

/** `own`: the kernel of this system's release, which there must be. Where another cannot be had, it takes its place. */
export function plan(own: Kernel, found: ReadonlyMap<Suite, Found>): Plans {
  const or = (suite: Suite): Kernel => {
    const kernel = found.get(suite);
    return kernel === undefined || 'missing' in kernel ? own : kernel;
  };
  const newer = or('trixie');
  const old = found.get('bullseye');
  const all = [...builtIn, upgradeProbe];
  return {
    six: [
      { name: 'older', host: 'older', kernel: own, probes: all, installed: true, cpus: 2, interval: '6s' },
      { name: 'newer', host: 'newer', kernel: newer, probes: all, installed: true, cpus: 2, interval: '6s' },
      {
        name: 'preempt',
        host: 'preempt',
        kernel: newer,
        probes: soleWriters,
        words: ['preempt=full'],
        cpus: 2,
        interval: '2s',
      },
      { name: 'clock', host: 'clock', kernel: own, ...usual, clockAheadMs },
      { name: 'cut', host: 'cut', kernel: newer, ...usual },
      { name: 'off', host: 'off', kernel: own, ...usual },
    ],
    twin: { name: 'twin', host: 'preempt', kernel: own, ...usual },
    old:
      old === undefined || 'missing' in old
        ? undefined
        : { name: 'old', host: 'old', kernel: old, ...usual, probes: [] },
  };
}

/** What this machine lacks for guests, or undefined. */
export function guestsNeed(): string | undefined {
  if (process.getuid?.() !== 0) return 'root, to load BPF programs on this host';
  if (process.arch !== 'x64') return `an x86-64 machine, and this is ${process.arch}`;
  const programs = ['qemu-system-x86_64', 'mkfs.ext4', 'busybox', 'setpriv'];
  const places = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  const lacking = programs.filter((name) => !places.some((place) => existsSync(join(place, name))));
  return lacking.length > 0
    ? `${lacking.join(', ')}: apt-get install qemu-system-x86 e2fsprogs busybox-static util-linux`
    : undefined;
}
