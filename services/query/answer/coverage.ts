/**
 * What an answer covers: hosts and how lately they were heard, the time really used, the ledger, and whether the answer
 * is exact. Whatever is missing is in a field and, in words, in a note.
 */
import type { Fleet, FleetHost, HostTable } from '../checkpoint/fleet.ts';
import { addSampled, isNothing, nothingSampled, pendingOf } from '../../shared/algebra/sampling.ts';
import { heavyPart } from '../../shared/algebra/heavy.ts';
import type { Coverage } from '../../shared/contract/query.ts';
import { accountOf, addAccount, balanceOf, emptyAccount, ledgerOf, type Account } from './ledger.ts';
import { unitOf, type Metric } from './metric.ts';
import { isSetAside, isStale, namesakeNote, namesakesOf, nsToMs, staleAfterMs } from './host-state.ts';
import { iso, type TimeRange } from './range.ts';
import { degradedOf } from './degraded.ts';
import type { HostScan } from './scan.ts';
import { timestamp } from './times.ts';
import { unknownNote, unknownWindows } from './unknown.ts';
import { int64 } from './sums.ts';

export const coverageLimits = { hostsNamed: 20, unknownListed: 20, notesOfLedgers: 20 } as const;

export const emptyCoverage: Coverage = {
  hostsMatched: 0,
  hostsReporting: 0,
  staleHosts: [],
  staleHostsCount: 0,
  watermark: undefined,
  startTime: undefined,
  endTime: undefined,
  exact: true,
  ledger: undefined,
  unknown: [],
  unknownCount: 0,
  complete: true,
  synthetic: false,
  seconds: 0,
  sampled: false,
  samplingFactor: '0',
  degraded: [],
  degradedCount: 0,
};

export const noHost = 'no host matches the selector; which hosts there are: FleetService/ListHosts';

/** What was refused of hosts: messages, not events. */
export const refusedNotes = (hosts: readonly FleetHost[]): string[] =>
  hosts
    .filter((h) => h.record.quarantinedBatches > 0n)
    .map(
      (h) => `${h.name}: ${h.record.quarantinedBatches} messages were refused and set aside; why: the aggregator's log`,
    )
    .slice(0, coverageLimits.hostsNamed);

/** Newest merge and read of the lineages that count a metric on a host. */
function newestOf(host: FleetHost, probe: string): { mergedMs: number; readMs: number; createdMs: number } {
  const found = { mergedMs: 0, readMs: 0, createdMs: Infinity };
  for (const { record } of host.lineages) {
    if (record.probe !== probe || isSetAside(record)) continue;
    found.mergedMs = Math.max(found.mergedMs, Number(record.mergedWallMs || host.record.mergedWallMs));
    found.readMs = Math.max(found.readMs, nsToMs(record.readWallNs));
    found.createdMs = Math.min(found.createdMs, nsToMs(record.createdWallNs));
  }
  return found;
}

export interface Covered {
  readonly coverage: Coverage;
  readonly notes: string[];
  /** Seconds between start and end really used; 0 when nothing is covered. */
  readonly seconds: number;
  readonly startMs: number;
  readonly endMs: number;
  /** Longest read interval of the hosts: nothing is dated finer. */
  readonly intervalMs: number;
  /** Per scanned host: what rows of this host may lack at most. */
  readonly missing: readonly bigint[];
  /** Overflow of all matched hosts. */
  readonly overflow: bigint;
  /** Heavy hitters' shared rows of all matched hosts. */
  readonly shared: bigint;
  /** Sampled, and in no row; may be negative. */
  readonly pending: bigint;
}

export function cover(
  fleet: Fleet,
  metric: Metric,
  hosts: readonly HostScan[],
  time: TimeRange,
  nowMs: number,
): Covered {
  const notes: string[] = [];
  const newest = hosts.map(({ host }) => newestOf(host, metric.probe));
  const silent = hosts.map(({ host }, i) => isStale(host, nowMs, newest[i]!.mergedMs));
  const stale = hosts.filter(({ host }, i) => silent[i] && !host.gone).map((h) => h.host.name);
  const gone = hosts.filter(({ host }) => host.gone).length;
  const reporting = newest.filter((_, i) => !silent[i]);
  const reads = (reporting.length > 0 ? reporting : newest).map((n) => n.readMs);
  const createdMs = Math.min(Infinity, ...newest.map((n) => n.createdMs));
  const newestReadMs = Math.max(0, ...newest.map((n) => n.readMs));
  const firstMs = Math.min(createdMs, ...hosts.map((h) => h.fromMs));
  const startMs =
    hosts.length === 0
      ? nowMs
      : time.kind === 'all'
        ? Math.min(createdMs, newestReadMs)
        : Math.max(time.fromMs, Math.min(firstMs, time.toMs));
  const endMs = Math.max(startMs, time.kind === 'all' ? newestReadMs : Math.min(time.toMs, newestReadMs));

  const intervalMs = Math.max(1, ...hosts.map((h) => nsToMs(h.host.record.intervalNs)));
  const account = emptyAccount();
  let exact = fleet.damaged.length === 0;
  for (const scanned of hosts) {
    for (const table of metric.hosts.get(scanned.host.name)!) {
      addAccount(account, accountOf(scanned.host, table));
      if (time.kind === 'all') exact = checkBalance(scanned.host, table, notes) && exact;
    }
  }
  if (time.kind === 'windows') {
    account.seen = hosts.reduce((n, h) => n + h.seen, 0n);
    account.failed = [hosts.reduce((n, h) => n + h.failed, 0n)];
    account.skipped = hosts.reduce((n, h) => n + h.skipped, 0n);
  }
  account.overflow = hosts.reduce((n, h) => n + h.overflow, 0n);
  account.sampled = hosts.reduce((s, h) => addSampled(s, h.sampled), nothingSampled);
  const degraded = degradedOf(
    hosts.map((h) => h.host),
    metric.probe,
  );
  const unknown = unknownWindows(
    hosts.map((h) => h.host),
    metric.probe,
    time.kind === 'all' ? undefined : { startMs, endMs },
  );
  // Counted but undated history is in lifetime totals.
  if (unknown.some((u) => time.kind === 'windows' || u.reason !== 'unknown-history')) exact = false;
  if (account.skipped > 0n || account.skipsUnknown || (time.kind === 'all' && account.lost > 0n)) exact = false;
  for (const { host } of hosts) {
    const others = namesakesOf(host, nowMs, metric.probe);
    if (others.length === 0) continue;
    exact = false;
    notes.push(namesakeNote(host, others));
  }
  addNotes(notes, fleet, metric, hosts, stale, account, time, nowMs);
  if (unknown.length > 0) notes.push(unknownNote(unknown));
  if (gone > 0) notes.push(`${gone} hosts are gone; what they counted is in the answer`);
  // What is dated within the range was counted over a read interval at least.
  const seconds = endMs > startMs ? Math.max(endMs - startMs, intervalMs) / 1000 : 0;
  return {
    coverage: {
      hostsMatched: hosts.length - gone,
      hostsReporting: hosts.length - gone - stale.length,
      staleHosts: stale.slice(0, coverageLimits.hostsNamed),
      staleHostsCount: stale.length,
      watermark: reads.length > 0 ? timestamp(Math.min(...reads)) : undefined,
      startTime: timestamp(startMs),
      endTime: timestamp(endMs),
      exact,
      ledger: ledgerOf(account),
      unknown: unknown.slice(0, coverageLimits.unknownListed),
      unknownCount: unknown.length,
      complete: stale.length === 0,
      synthetic: hosts.some((h) => h.host.record.synthetic),
      seconds,
      sampled: !isNothing(account.sampled),
      samplingFactor: int64(account.sampled.weightMax),
      degraded: degraded.slice(0, coverageLimits.hostsNamed),
      degradedCount: degraded.length,
    },
    notes,
    seconds,
    startMs,
    endMs,
    intervalMs,
    missing: hosts.map((h) => h.overflow + (time.kind === 'all' ? lostOf(h.host, metric) : 0n)),
    overflow: account.overflow,
    shared: hosts.reduce((n, h) => n + sharedOf(h), 0n),
    pending: pendingOf(account.sampled),
  };
}

/** What a host's small keys of a table of heavy hitters share. */
export const sharedOf = (h: HostScan): bigint => [...h.shared.values()].reduce((n, v) => n + v, 0n);

const limitedRows = (metric: Metric, hosts: readonly HostScan[]): bigint =>
  hosts.reduce(
    (n, { host }) =>
      n + metric.hosts.get(host.name)!.reduce((m, { key }) => m + (host.record.limitedRows[key] ?? 0n), 0n),
    0n,
  );

const lostOf = (host: FleetHost, metric: Metric): bigint =>
  metric.hosts.get(host.name)!.reduce((n, table) => n + accountOf(host, table).lost, 0n);

function checkBalance(host: FleetHost, table: HostTable, notes: string[]): boolean {
  const { balanced, problem } = balanceOf(host, table);
  // The rest is in GetLedger: a note is for a person.
  if (problem && notes.length < coverageLimits.notesOfLedgers) notes.push(problem);
  return balanced;
}

function addNotes(
  notes: string[],
  fleet: Fleet,
  metric: Metric,
  hosts: readonly HostScan[],
  stale: readonly string[],
  account: Account,
  time: TimeRange,
  nowMs: number,
): void {
  if (hosts.length === 0) notes.push(noHost);
  const what = unitOf(metric.schema);
  const ageMs = nowMs - fleet.committedMs;
  if (hosts.length > 0 && ageMs > Math.max(5000, ...hosts.map((h) => staleAfterMs(h.host)))) {
    notes.push(
      `the aggregator is away: this is its last checkpoint, ${(ageMs / 1000).toFixed(0)} s old, of ${iso(fleet.committedMs)}`,
    );
  }
  if (stale.length > 0) {
    const since = (name: string): string => {
      const host = hosts.find((h) => h.host.name === name)!.host;
      return `${name} since ${iso(newestOf(host, metric.probe).mergedMs)}`;
    };
    const shown = stale.slice(0, 3).map(since).join(', ') + (stale.length > 3 ? ', …' : '');
    notes.push(
      `${stale.length} of ${hosts.length} hosts are stale (${shown}): what they counted before is in the answer; see FleetService/ListHosts`,
    );
  }
  if (account.overflow > 0n) {
    notes.push(
      `${account.overflow} ${what} lost their labels: they are in total without a selector on labels, and in no row${limitedRows(metric, hosts) > 0n ? '' : `; give the table more rows (--rows ${metric.schema.name}=N)`}`,
    );
  }
  const limited = limitedRows(metric, hosts);
  if (limited > 0n) {
    notes.push(
      `${limited} rows of ${metric.name} have joined the overflow: their host or the fleet has as many series as the aggregator takes; raise its --series-per-host or --series, or count fewer different labels`,
    );
  }
  const shared = hosts.reduce((n, h) => n + sharedOf(h), 0n);
  if (shared > 0n) {
    notes.push(
      `${shared} ${what} are of keys too small for a row of their own (each below 1/${heavyPart} of its host's in a generation): they are in total, and what of them may be a row's is in its error_bound`,
    );
  }
  if (!isNothing(account.sampled)) {
    notes.push(
      `${account.sampled.seen} ${what} were counted while labels were sampled to keep ${metric.probe} to its budget: totals are exact, rows lie within their error_bound (1 in 2,000 does not), ${pendingOf(account.sampled)} are in total and in no row`,
    );
  }
  if (account.skipped > 0n)
    notes.push(
      `the kernel skipped ${account.skipped} runs of ${metric.probe}: what they would have counted is missing`,
    );
  if (account.skipsUnknown) notes.push(`skips unknown: a hook of ${metric.probe} has no counter of skipped runs`);
  // Of these two nobody knows when it was counted.
  const ever = time.kind === 'windows' ? ' at some time' : '';
  if (account.lost > 0n)
    notes.push(`${account.lost} ${what} were counted${ever} and then lost with a store; see FleetService/GetLedger`);
  if (account.quarantined > 0n)
    notes.push(
      `${account.quarantined} ${what}${ever && ' of all time'} are set aside: another lineage counts the same events; see FleetService/GetLedger`,
    );
  if (fleet.damaged.length > 0)
    notes.push(
      `${fleet.damaged.length} blobs of the checkpoint are damaged, the first is ${fleet.damaged[0]}: part of the answer is missing`,
    );
  if (metric.unlike.length > 0)
    notes.push(
      `${metric.unlike.length} hosts have another kind of ${metric.name} that cannot be added, the first is ${metric.unlike[0]}`,
    );
  const skewed = hosts.filter((h) => Math.abs(Number(h.host.record.clockSkewMs)) > 10_000);
  if (skewed.length > 0)
    notes.push(
      `the clock of ${skewed[0]!.host.name} is ${Number(skewed[0]!.host.record.clockSkewMs) / 1000} s off${skewed.length > 1 ? `, and ${skewed.length - 1} others are` : ''}`,
    );
  if (time.kind === 'windows') {
    const late = hosts.find((h) => h.fromMs < time.fromMs - 2 * Math.max(1000, nsToMs(h.host.record.intervalNs)));
    if (late)
      notes.push(
        `some of what ${late.host.name} counted since ${iso(late.fromMs)} is dated when it could be read again, within this range`,
      );
  }
  if (hosts.some((h) => h.host.record.synthetic))
    notes.push('synthetic: a generator made rows of this answer, not a kernel');
}
