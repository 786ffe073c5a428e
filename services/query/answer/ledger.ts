/**
 * Ledgers as callers see them, and the invariant behind every answer: seen = Σ rows + overflow. Folded generations must
 * fit to the last event, and so must one that is sealed and still open. The running generation is read while the kernel counts, its ledger a moment apart from its
 * rows: it may differ by what was counted in between, and only a gross difference is an alarm.
 */
import type { FleetHost, HostTable } from '../checkpoint/fleet.ts';
import { addSampled, nothingSampled, pendingOf, type Sampled } from '../../shared/algebra/sampling.ts';
import type { LedgerRecord } from '../../shared/contract/checkpoint.ts';
import type { Ledger } from '../../shared/contract/query.ts';
import { int64 } from './sums.ts';

export interface Account {
  seen: bigint;
  overflow: bigint;
  /** By errno class: full, no memory, busy, other. */
  failed: bigint[];
  skipped: bigint;
  lost: bigint;
  quarantined: bigint;
  skipsUnknown: boolean;
  sampled: Sampled;
}

export const failureReasons = ['full', 'no-memory', 'busy', 'other'] as const;

export const emptyAccount = (): Account => ({
  seen: 0n,
  overflow: 0n,
  failed: [0n, 0n, 0n, 0n],
  skipped: 0n,
  lost: 0n,
  quarantined: 0n,
  skipsUnknown: false,
  sampled: nothingSampled,
});

export function addAccount(into: Account, from: Account): void {
  into.seen += from.seen;
  into.overflow += from.overflow;
  from.failed.forEach((n, i) => (into.failed[i] = (into.failed[i] ?? 0n) + n));
  into.skipped += from.skipped;
  into.lost += from.lost;
  into.quarantined += from.quarantined;
  into.skipsUnknown ||= from.skipsUnknown;
  into.sampled = addSampled(into.sampled, from.sampled);
}

export const ledgerOf = (a: Account): Ledger => ({
  seen: int64(a.seen + pendingOf(a.sampled)),
  sampled: int64(a.sampled.seen),
  pending: int64(pendingOf(a.sampled)),
  overflow: int64(a.overflow),
  failed: int64(a.failed.reduce((n, f) => n + f, 0n)),
  skipped: int64(a.skipped),
  lost: int64(a.lost),
  quarantined: int64(a.quarantined),
  skipsUnknown: a.skipsUnknown,
});

/** Ledger records of a table: of its lineages, and of those that have ended and were folded. */
function recordsOf(host: FleetHost, table: HostTable): LedgerRecord[] {
  const own = host.lineages.filter((l) => l.record.probe === table.probe).flatMap((l) => l.record.ledgers);
  return [...own, ...host.record.folded.filter((r) => r.probe === table.probe)].filter((r) => r.table === table.key);
}

/** Lifetime account of one table of one host. */
export function accountOf(host: FleetHost, table: HostTable): Account {
  const account = emptyAccount();
  for (const r of recordsOf(host, table)) {
    addAccount(account, {
      seen: r.seen,
      overflow: r.overflow,
      failed: r.failed,
      skipped: 0n,
      lost: r.lost,
      quarantined: r.quarantined,
      skipsUnknown: false,
      sampled: r.sampled ?? nothingSampled,
    });
  }
  for (const { record } of host.lineages) {
    if (record.probe !== table.probe || record.state === 'quarantined' || record.state === 'namesake') continue;
    for (const program of record.programs) {
      if (program.skipped === undefined) account.skipsUnknown = true;
      else account.skipped += program.skipped;
    }
  }
  return account;
}

/** In every note of an equation that does not hold: an alarm. */
export const unbalanced = 'the ledger does not balance';

export interface Balance {
  /** Sum of all rows, overflow excluded. */
  readonly attributed: bigint;
  readonly overflow: bigint;
  readonly balanced: boolean;
  /** The numbers, when they do not fit. */
  readonly problem: string | undefined;
}

/** Slack of the running generation: a million units, or one in a hundred. */
const slack = (seen: bigint): bigint => (seen / 100n > 1_000_000n ? seen / 100n : 1_000_000n);

/** Checks the invariant over a table's base and last blobs, which must be loaded. */
export function balanceOf(host: FleetHost, table: HostTable): Balance {
  const foldedRows = heldBy(table.bases);
  const runningRows = heldBy(table.lasts);
  let foldedSeen = 0n;
  let runningSeen = 0n;
  let lost = 0n;
  for (const r of recordsOf(host, table)) {
    if (r.current) runningSeen += r.seen - r.lost;
    else {
      foldedSeen += r.seen;
      lost += r.lost;
    }
  }
  const apart = runningRows > runningSeen ? runningRows - runningSeen : runningSeen - runningRows;
  const problem =
    foldedRows + lost !== foldedSeen
      ? `sealed generations saw ${foldedSeen}, their rows hold ${foldedRows}, lost ${lost}`
      : apart > slack(runningSeen)
        ? `the running generation saw ${runningSeen}, its rows hold ${runningRows}`
        : sealedProblem(host, table);
  return {
    attributed: [...table.bases, ...table.lasts].reduce((n, b) => n + b.held.labelled, 0n),
    overflow: [...table.bases, ...table.lasts].reduce((n, b) => n + b.held.unlabelled, 0n),
    balanced: problem === undefined,
    problem: problem && `${host.name}/${table.schema.name}: ${unbalanced}: ${problem}`,
  };
}

/** A final generation whose rows are not what it saw: some are on their way, or its equation is broken. */
function sealedProblem(host: FleetHost, table: HostTable): string | undefined {
  for (const { record } of host.lineages) {
    if (record.probe !== table.probe) continue;
    const key = record.bootId.toString('hex') + record.uuid.toString('hex');
    for (const r of record.ledgers) {
      if (r.table !== table.key || !r.current || !r.sealed) continue;
      const rows = heldBy(table.lasts.filter((b) => b.lineage === key && b.generation === r.generation));
      if (rows + r.lost !== r.seen)
        return `sealed generation ${r.generation} saw ${r.seen}, its rows hold ${rows}, lost ${r.lost}`;
    }
  }
  return undefined;
}

const heldBy = (blocks: HostTable['bases'] | HostTable['lasts']): bigint =>
  blocks.reduce((n, { held }) => n + held.labelled + held.unlabelled, 0n);
