/** How a host stands: silent or not, alone under its name or not. */
import type { FleetHost } from '../checkpoint/fleet.ts';

export const nsToMs = (ns: bigint): number => Number(ns / 1_000_000n);

/** A host is stale when nothing of it was merged for three of its intervals, at least 5 s. */
export const staleAfterMs = (host: FleetHost): number => Math.max(5000, 3 * nsToMs(host.record.intervalNs));
export const isStale = (host: FleetHost, nowMs: number, mergedMs = Number(host.record.mergedWallMs)): boolean =>
  nowMs - mergedMs > staleAfterMs(host);

/** Of what nothing is in any answer: of a lineage that sees another's events, or of another machine of the same name. */
export const isSetAside = ({ state }: { readonly state: string }): boolean =>
  state === 'quarantined' || state === 'namesake';

/** Boot ids of machines that report under this host's name besides the one that counts. */
export const namesakesOf = (host: FleetHost, nowMs: number, probe?: string): string[] => [
  ...new Set(
    host.lineages
      .filter(({ record: l }) => l.state === 'namesake' && (probe === undefined || l.probe === probe))
      .filter(({ record: l }) => !isStale(host, nowMs, Number(l.mergedWallMs)))
      .map(({ record: l }) => uuidText(l.bootId)),
  ),
];

const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
export const uuidText = (bytes: Uint8Array): string =>
  hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

/** What to say where machines share a name. */
export const namesakeNote = (host: FleetHost, others: readonly string[]): string =>
  `${others.length + 1} machines report as ${host.name}: boot ${uuidText(host.record.bootId)} counts, ${others.join(', ')} ${others.length > 1 ? 'are' : 'is'} set aside; give each a --host of its own, and all it has counted comes in under that`;
