/** Spans of time about which not all is known, as callers see them. */
import type { FleetHost } from '../checkpoint/fleet.ts';
import { timestampText } from '../../shared/contract/proto-json.ts';
import type { UnknownWindow } from '../../shared/contract/query.ts';
import { nsToMs } from './host-state.ts';
import { timestamp } from './times.ts';

export function unknownNote(unknown: readonly UnknownWindow[]): string {
  const { host, start, end, reason, probe } = unknown[0]!;
  const span = `${timestampText(start!)} to ${end ? timestampText(end) : 'now'}`;
  const more = unknown.length > 1 ? `; and ${unknown.length - 1} more spans, see coverage.unknown` : '';
  return `not all is known of ${host}${probe && ` (${probe})`} from ${span}: ${reason}${more}`;
}

/** Unknown spans of hosts, newest first; `used` limits them to a time. */
export function unknownWindows(
  hosts: readonly FleetHost[],
  probe: string | undefined,
  used?: { startMs: number; endMs: number },
): UnknownWindow[] {
  const found: { startMs: number; window: UnknownWindow }[] = [];
  for (const host of hosts) {
    for (const span of host.record.unknown) {
      if (probe !== undefined && span.probe !== '' && span.probe !== probe) continue;
      const startMs = nsToMs(span.startWallNs);
      const endMs = span.endWallNs === 0n ? Infinity : nsToMs(span.endWallNs);
      if (used && (startMs >= used.endMs || endMs <= used.startMs)) continue;
      const end = endMs === Infinity ? undefined : timestamp(endMs);
      found.push({
        startMs,
        window: { host: host.name, start: timestamp(startMs), end, reason: span.reason, probe: span.probe },
      });
    }
  }
  return found.sort((a, b) => b.startMs - a.startMs).map((f) => f.window);
}
