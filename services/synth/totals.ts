/** What the synthetic fleet counted, to the last event: what every answer about it must come to. */
import { addTo, serviceOf } from './fleet/table.ts';
import type { Fleet } from './synth.ts';

export interface KnownTotals {
  readonly hosts: number;
  readonly rows: number;
  readonly reads: number;
  /** Reads put off because the stream had not confirmed the one before. */
  readonly held: number;
  readonly batches: number;
  readonly rowsSent: number;
  readonly bytesSent: number;
  readonly restarts: number;
  readonly sealed: number;
  /** Decimal: everything counted so far. */
  readonly total: string;
  /** The same by label `service`. */
  readonly services: Readonly<Record<string, string>>;
}

export function knownTotals(fleet: Fleet): KnownTotals {
  const sums = fleet.ended.slice();
  for (const host of fleet.hosts) addTo(sums, host.table);
  const { reads, held, batches, rows, bytes, restarts, sealed } = fleet.sent;
  return {
    hosts: fleet.plan.hosts,
    rows: fleet.plan.rows,
    reads,
    held,
    batches,
    rowsSent: rows,
    bytesSent: bytes,
    restarts,
    sealed,
    total: String(sums.reduce((a, b) => a + b, 0n)),
    services: Object.fromEntries(sums.flatMap((sum, s) => (sum > 0n ? [[serviceOf(s), String(sum)]] : []))),
  };
}
