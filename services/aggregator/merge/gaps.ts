/** Spans of time of which nothing is known: between two lineages of a probe, or before the first that was heard. */
import type { Batch } from '../../shared/contract/batch.ts';
import type { HostState, LineageState } from './state.ts';

/** Spans kept for one host, newest last. */
const unknownMax = 64;

/** The last that a batch tells of: what is read after the programs were detached tells nothing of the time since. */
export function toldUntilNs({ lineage, readWallNs }: Batch): bigint {
  const { detachedWallNs } = lineage!;
  return detachedWallNs > 0n && detachedWallNs < readWallNs ? detachedWallNs : readWallNs;
}

/** Nothing is known from the elder's last word to the heir's start. */
export function addGap(host: HostState, elder: LineageState, lastWallNs: bigint, heir: LineageState): void {
  const start = lastWallNs < heir.createdWallNs ? lastWallNs : heir.createdWallNs;
  addUnknown(host, start, heir.createdWallNs, gapReason(elder, heir), heir.probe);
}

export function gapReason(elder: LineageState, younger: LineageState): string {
  if (elder.bootId !== younger.bootId) return 'reboot';
  return elder.schemaHash !== younger.schemaHash ? 'upgrade' : 'detached';
}

export function addUnknown(
  host: HostState,
  startWallNs: bigint,
  endWallNs: bigint,
  reason: string,
  probe: string,
): void {
  host.unknown.push({ startWallNs, endWallNs, reason, probe });
  if (host.unknown.length > unknownMax) host.unknown.splice(0, host.unknown.length - unknownMax);
}
