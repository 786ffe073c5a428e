/** FleetService/GetLedger: lifetime accounts by host, probe and table, each checked against its rows. */
import { isNothing } from '../../shared/algebra/sampling.ts';
import type { Fleet } from '../checkpoint/fleet.ts';
import type { GetLedgerRequest, LedgerRow } from '../../shared/contract/query.ts';
import { coverageLimits, noHost, refusedNotes } from './coverage.ts';
import { unknownWindows } from './unknown.ts';
import { nothingYet } from './nothing.ts';
import { accountOf, balanceOf, failureReasons, ledgerOf } from './ledger.ts';
import { findMetric, metricsOf, unitOf } from './metric.ts';
import { fitPage, type Prepared } from './page.ts';
import { selectHosts } from './select.ts';
import { int64 } from './sums.ts';

export function* prepareLedgers(request: GetLedgerRequest, fleet: Fleet): Generator<void, Prepared<'GetLedger'>> {
  const only = request.metric === '' ? undefined : findMetric(metricsOf(fleet), request.metric)!.name;
  const rows: LedgerRow[] = [];
  const notes: string[] = [];
  let exact = fleet.damaged.length === 0;
  const hosts = selectHosts(fleet, request.selector);
  for (const host of hosts) {
    for (const table of [...host.tables.values()].sort((a, b) => (a.key < b.key ? -1 : 1))) {
      if (only !== undefined && table.schema.name !== only) continue;
      const account = accountOf(host, table);
      const { attributed, overflow, balanced, problem } = balanceOf(host, table);
      if (problem) notes.push(problem);
      exact &&=
        balanced &&
        overflow === 0n &&
        isNothing(account.sampled) &&
        account.lost === 0n &&
        account.skipped === 0n &&
        !account.skipsUnknown;
      const reasons = failureReasons
        .map((reason, i) => [reason, account.failed[i] ?? 0n] as const)
        .filter(([, n]) => n > 0n);
      rows.push({
        host: host.name,
        probe: table.probe,
        table: table.key,
        ledger: ledgerOf({ ...account, overflow }),
        attributed: int64(attributed),
        balanced,
        failedByReason: Object.fromEntries(reasons.map(([reason, n]) => [reason, int64(n)])),
        unit: unitOf(table.schema),
        unknown: unknownWindows([host], table.probe).slice(0, coverageLimits.unknownListed),
      });
      yield;
    }
  }
  notes.push(...refusedNotes(hosts));
  if (fleet.hosts.length === 0) notes.push(nothingYet);
  else if (hosts.length === 0) notes.push(noHost);
  if (fleet.damaged.length > 0)
    notes.push(`${fleet.damaged.length} blobs of the checkpoint are damaged, the first is ${fleet.damaged[0]}`);
  return {
    count: rows.length,
    page(first, wanted, next) {
      const last = fitPage(first, Math.min(wanted, rows.length), (r) => JSON.stringify(rows[r]).length);
      return {
        rows: rows.slice(first, last),
        nextPageToken: last < rows.length ? next(last) : '',
        exact,
        notes: notes.slice(0, 100),
      };
    },
  };
}
