/**
 * Perf events that programs are attached to: the clock of each CPU, and closing what libbpf leaves open.
 * Sources: perf_event_open(2), <linux/perf_event.h>.
 */
import { closeSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { machine } from 'node:os';
import { perfEventOpen } from './libc.ts';

/** By `uname -m`. */
const systemCall: Readonly<Record<string, number>> = { x86_64: 298, aarch64: 241 };
const attributeBytes = 128;
const PERF_TYPE_SOFTWARE = 1;
const PERF_COUNT_SW_CPU_CLOCK = 0;

/** A descriptor of an event that fires whenever the CPU has spent `periodNs`, idle or not; negative: −errno. */
export function openCpuClock(cpu: number, periodNs: number): number {
  const attributes = Buffer.alloc(attributeBytes);
  attributes.writeUInt32LE(PERF_TYPE_SOFTWARE, 0);
  attributes.writeUInt32LE(attributeBytes, 4);
  attributes.writeBigUInt64LE(BigInt(PERF_COUNT_SW_CPU_CLOCK), 8);
  attributes.writeBigUInt64LE(BigInt(periodNs), 16);
  const number = systemCall[machine()];
  return number === undefined ? -38 : perfEventOpen(number, attributes, cpu);
}

/** CPUs that run now: "0-3,8". */
export function onlineCpus(): number[] {
  const text = readFileSync('/sys/devices/system/cpu/online', 'utf8').trim();
  return text.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: last! - first + 1 }, (_, i) => first + i);
  });
}

/**
 * Closes this process's perf events. A pinned link keeps its own; libbpf's descriptor beside it would keep the event
 * firing after the link has gone.
 */
export function closePerfEvents(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`) === 'anon_inode:[perf_event]') closeSync(Number(name));
    } catch {
      // The descriptor of the listing itself.
    }
  }
}
