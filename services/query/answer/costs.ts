/** FleetService/GetCost: what counting costs, by host, probe and program. What was not measured is absent, and said. */
import type { Fleet } from '../checkpoint/fleet.ts';
import type { CostRow, GetCostRequest } from '../../shared/contract/query.ts';
import { nearest } from '../../shared/runtime/settings.ts';
import { duration } from './times.ts';
import { isStale } from './host-state.ts';
import { nothingYet } from './nothing.ts';
import { fitPage, type Prepared } from './page.ts';
import { reject } from './rejection.ts';
import { selectHosts } from './select.ts';
import { int64 } from './sums.ts';

export function prepareCosts(request: GetCostRequest, fleet: Fleet, nowMs: number): Prepared<'GetCost'> {
  const { probe: only } = request;
  const probes = new Set(fleet.hosts.flatMap((h) => h.lineages.map((l) => l.record.probe)));
  if (only !== '' && !probes.has(only))
    reject({ kind: 'unknown-probe', probe: only, suggestion: nearest(only, [...probes]) });
  const rows: CostRow[] = [];
  let kernelBytes = 0n;
  let cpuShare: number | undefined;
  const stale = new Set<string>();
  for (const host of selectHosts(fleet, request.selector)) {
    if (host.gone) continue;
    if (isStale(host, nowMs)) stale.add(host.name);
    for (const { record } of host.lineages) {
      if (record.state !== 'live' || (only !== '' && record.probe !== only)) continue;
      kernelBytes += record.kernelBytes ?? 0n;
      for (const p of record.programs) {
        const row = costOf(p);
        if (row.cpuShare !== undefined) cpuShare = (cpuShare ?? 0) + row.cpuShare;
        rows.push({
          host: host.name,
          probe: record.probe,
          program: p.program,
          ...row,
          ...(record.kernelBytes === undefined ? {} : { kernelBytes: int64(record.kernelBytes) }),
          ...(p.skipped === undefined ? {} : { skipped: int64(p.skipped) }),
        });
      }
    }
  }
  const notes = notesOf(fleet, rows, stale);
  return {
    count: rows.length,
    page(first, wanted, next) {
      const last = fitPage(first, Math.min(wanted, rows.length), (r) => JSON.stringify(rows[r]).length);
      return {
        rows: rows.slice(first, last),
        nextPageToken: last < rows.length ? next(last) : '',
        ...(cpuShare === undefined ? {} : { cpuShare }),
        kernelBytes: int64(kernelBytes),
        notes,
      };
    },
  };
}

type Program = Fleet['hosts'][number]['lineages'][number]['record']['programs'][number];

function costOf(
  p: Program,
): Pick<CostRow, 'nsPerRun' | 'runsPerSecond' | 'cpuShare' | 'period' | 'runs' | 'runTimeNs'> {
  const life = { runs: int64(p.runs), runTimeNs: int64(p.runTimeNs) };
  const { periodNs, periodRuns = 0n, periodRunTimeNs = 0n } = p;
  if (periodNs === undefined || periodNs === 0n) return { ...life, period: undefined };
  return {
    ...life,
    ...(periodRuns > 0n ? { nsPerRun: Number(periodRunTimeNs) / Number(periodRuns) } : {}),
    runsPerSecond: Number(periodRuns) / (Number(periodNs) / 1e9),
    cpuShare: Number(periodRunTimeNs) / Number(periodNs),
    period: duration(Number(periodNs / 1_000_000n)),
  };
}

function notesOf(fleet: Fleet, rows: readonly CostRow[], stale: ReadonlySet<string>): string[] {
  if (fleet.hosts.length === 0) return [nothingYet];
  const notes: string[] = [];
  const unmeasured = rows.filter((r) => !r.period).length;
  if (unmeasured > 0)
    notes.push(
      `${unmeasured} of ${rows.length} programs are not measured: an agent has it done some seconds after its start, and then each --measure-every, where it has a keeper (--socket)`,
    );
  if (stale.size > 0)
    notes.push(
      `${stale.size} hosts are stale, the first is ${[...stale][0]}: their figures are of when they were read`,
    );
  return notes;
}
