/** Words of the questions, and what is read from the answers. */
import type { Host } from '../../services/shared/contract/query.ts';

export const of = (comm: string, host?: string): string =>
  `comm="${comm}",syscall="getppid"${host === undefined ? '' : `,host="${host}"`}`;
/** Over the lifetime. */
export const all = { metric: 'syscalls', range: 'all' } as const;
/** Of a Timestamp or a Duration. */
export const msOf = (t: { seconds: string | number; nanos: number } | null | undefined): number =>
  t ? Number(t.seconds) * 1000 + t.nanos / 1e6 : NaN;
export const liveProbes = (host: Host): string[] => host.probes.filter((p) => p.state === 'live').map((p) => p.probe);
