/** What probes give up to keep to their budgets, as callers see it. */
import type { FleetHost } from '../checkpoint/fleet.ts';
import type { Degraded } from '../../shared/contract/query.ts';
import { nsToMs } from './host-state.ts';
import { timestamp } from './times.ts';

/** Probes that give something up now, of lineages that count; all of them unless one is named. */
export function degradedOf(hosts: readonly FleetHost[], probe?: string): Degraded[] {
  return hosts.flatMap((host) =>
    host.lineages.flatMap(({ record }): Degraded[] => {
      const { governed: g, detachedWallNs } = record;
      if (record.state !== 'live' || (probe !== undefined && record.probe !== probe) || !g || g.budgetPpm === 0)
        return [];
      const detached = detachedWallNs > 0n;
      if (g.level === 0 && !g.stacksDropped && !detached) return [];
      return [
        {
          host: host.name,
          probe: record.probe,
          samplingLevel: g.level,
          stacksDropped: g.stacksDropped,
          detached,
          since: timestamp(detached ? nsToMs(detachedWallNs) : Number(g.sinceWallS) * 1000),
        },
      ];
    }),
  );
}
