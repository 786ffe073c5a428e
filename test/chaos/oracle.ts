/**
 * Recounts: what the flows called, against what the query server answers. Asked only while the flows stand still, so
 * that there is one right answer.
 *
 *   always            host total + lost = N, fleet total = Σ hosts, no row above its N, ledgers balance
 *   where all fits    every row = its N
 *   after a loss      Σ over rows of what is missing = lost, and from then on those rows grow exactly
 *   pins and store    what a lineage without pins had counted is in the store alone: gone with it, nobody can number it
 */
import type { LedgerRow, QueryResponse, QueryRow } from '../../services/shared/contract/query.ts';
import type { Host, World } from './world.ts';

/** What an answer lacks, in words; no words: exact. */
export type Verdict = { readonly wrong: readonly string[]; readonly totalsAt: number };

const metric = { metric: 'syscalls', range: 'all' } as const;
const pageSize = 1000;
/** Longer than hosts take to repeat what they hold. */
const settledMs = 9_000;
const keyOf = (labels: Readonly<Record<string, string>>): string => `${labels['comm']}/${labels['syscall']}`;

export class Oracle {
  /** Events lost so far with a store, as the answers said and the rows confirmed. By host. */
  readonly lost = new Map<string, bigint>();
  /** A total that may be short for that reason, and since when it is just so: it may still be on its way. */
  private readonly shortage = new Map<string, { readonly by: bigint; readonly sinceMs: number }>();
  /** What each row of a roomy host lacks since. */
  private readonly missing = new Map<string, bigint>();

  constructor(private readonly world: World) {}

  /** Events made so far. */
  made(): bigint {
    const fleet = this.world.hosts.reduce((sum, host) => sum + madeBy(host), 0n);
    return fleet + (this.world.whole?.flow.total() ?? 0n);
  }

  /** `mayLose`: what was done since the last verdict may have cost history. */
  async judge(mayLose: boolean): Promise<Verdict> {
    const { world } = this;
    const wrong: string[] = [];
    const claims = new Map<string, bigint>();
    const setAside: [Host, bigint][] = [];
    let sum = 0n;
    for (const host of world.hosts) {
      const answer = await lifetimeOf(world, host);
      const total = BigInt(answer.total);
      const ledger = answer.coverage?.ledger;
      const lost = BigInt(ledger?.lost ?? '0');
      const made = madeBy(host) - this.settleShortage(host, madeBy(host) - total - lost, mayLose);
      sum += total;
      claims.set(host.name, lost);
      if (total + lost !== made)
        wrong.push(`${host.name}: total ${total} + lost ${lost} is not ${made} (${signed(total + lost - made)})`);
      else if (BigInt(ledger?.seen ?? '0') !== made) wrong.push(`${host.name}: seen ${ledger?.seen} is not ${made}`);
      // What was given up for lost may still come, with a generation that is sent again.
      if (lost > this.lostOf(host) && !mayLose) wrong.push(`${host.name}: lost ${lost}, was ${this.lostOf(host)}`);
      const quarantined = BigInt(ledger?.quarantined ?? '0');
      // With the store goes what was set aside by keepers that are no more.
      const isKnown = mayLose ? quarantined <= host.quarantinedMost : quarantined === host.quarantined;
      if (!isKnown || ledger?.skipped !== '0')
        wrong.push(`${host.name}: ledger ${JSON.stringify(ledger)}, set aside were ${host.quarantined}`);
      setAside.push([host, quarantined]);
      wrong.push(...coverage(host.name, answer, lost, 1).map((w) => `${host.name}: ${w}`));
    }
    const fleet = await world.ask('Query', { ...metric, pageSize: 1 });
    if (BigInt(fleet.total) !== sum) wrong.push(`fleet: ${fleet.total} is not the sum of its hosts, ${sum}`);
    const lostOfAll = [...claims.values()].reduce((a, b) => a + b, 0n);
    if (world.whole) wrong.push(...(await world.whole.judge()));
    wrong.push(...coverage('fleet', fleet, lostOfAll, world.hosts.length).map((w) => `fleet: ${w}`));
    const totalsAt = performance.now();
    if (wrong.length > 0) return { wrong, totalsAt };

    wrong.push(...(await this.ledgers()));
    const missing: [Host, Map<string, bigint>][] = [];
    for (const host of world.hosts) {
      const found = await this.rowsOf(host, claims.get(host.name)!, mayLose, wrong);
      missing.push([host, found]);
    }
    if (wrong.length === 0) {
      for (const [host, quarantined] of setAside) host.quarantined = quarantined;
      for (const [host, rows] of missing) {
        this.lost.set(host.name, claims.get(host.name)!);
        for (const [key, n] of rows) this.missing.set(key, n);
      }
    }
    return { wrong, totalsAt };
  }

  /** Events of this host that no answer can hold. */
  private settleShortage(host: Host, by: bigint, mayLose: boolean): bigint {
    const known = host.gone;
    // An older copy of the store may even bring it back.
    if (!mayLose || by === known || by < 0n || by > host.onlyInStore) {
      this.shortage.delete(host.name);
      return known;
    }
    const before = this.shortage.get(host.name);
    if (before?.by !== by) this.shortage.set(host.name, { by, sinceMs: performance.now() });
    else if (performance.now() - before.sinceMs >= settledMs) {
      return (host.gone = by);
    }
    return known;
  }

  private lostOf(host: Host): bigint {
    return this.lost.get(host.name) ?? 0n;
  }

  /** What each row lacks now. */
  private async rowsOf(host: Host, lost: bigint, mayLose: boolean, wrong: string[]): Promise<Map<string, bigint>> {
    const found = await this.allRows(host);
    const missing = new Map<string, bigint>();
    let lacking = 0n;
    for (const flow of host.flows) {
      for (const [call, made] of flow.byCall()) {
        const key = `${flow.plan.comm}/${call}`;
        const answered = found.get(key) ?? 0n;
        found.delete(key);
        const lacks = made - answered;
        lacking += lacks;
        if (lacks < 0n) say(wrong, `${host.name}: ${key} is ${answered}, ${-lacks} above what was called`);
        if (!host.roomy) continue;
        missing.set(key, lacks);
        const before = this.missing.get(key) ?? 0n;
        if (lacks !== before && !mayLose && lost === this.lostOf(host))
          say(wrong, `${host.name}: ${key} is ${answered}, ${lacks} below what was called, and lacked ${before}`);
      }
    }
    if (found.size > 0)
      say(wrong, `${host.name}: ${found.size} rows that nobody called, such as ${[...found][0]!.join(' = ')}`);
    const without = lost + host.gone;
    if (host.roomy && lacking !== without) say(wrong, `${host.name}: its rows lack ${lacking}, lost is ${without}`);
    return missing;
  }

  private async allRows(host: Host): Promise<Map<string, bigint>> {
    const rows: QueryRow[] = [];
    let pageToken = '';
    do {
      const page = await this.world.ask('Query', {
        ...metric,
        selector: `host="${host.name}"`,
        groupBy: ['comm', 'syscall'],
        orderBy: 'syscall asc',
        pageSize,
        pageToken,
      });
      rows.push(...page.rows);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return new Map(rows.map((row) => [keyOf(row.labels), BigInt(row.value)]));
  }

  private async ledgers(): Promise<string[]> {
    const { rows } = await this.world.ask('GetLedger', { metric: 'syscalls' });
    return rows
      .filter((row) => !row.balanced)
      .map((row: LedgerRow) => `${row.host}: ledger does not balance: ${JSON.stringify(row)}`);
  }
}

function coverage(whose: string, answer: QueryResponse, lost: bigint, hosts: number): string[] {
  const c = answer.coverage;
  if (!c) return ['no coverage'];
  const wrong: string[] = [];
  if (c.hostsMatched !== hosts) wrong.push(`covers ${c.hostsMatched} hosts, not ${hosts}`);
  if (c.hostsReporting !== hosts || !c.complete) wrong.push(`stale: ${c.staleHosts.join(', ')}`);
  if (lost > 0n && c.exact) wrong.push(`${whose} says it is exact, and ${lost} are lost`);
  return wrong;
}

/** The first few; a thousand rows may be wrong for one reason. */
function say(wrong: string[], what: string): void {
  if (wrong.length < 8) wrong.push(what);
}

/** What is answered of a host's lifetime, without its rows. */
export const lifetimeOf = (world: World, host: Host): Promise<QueryResponse> =>
  world.ask('Query', { ...metric, selector: `host="${host.name}"`, pageSize: 1 });

/** Of a host's lifetime: what is counted, and what is stated as lost. */
export async function accountOf(world: World, host: Host): Promise<{ total: bigint; lost: bigint }> {
  const { total, coverage } = await lifetimeOf(world, host);
  return { total: BigInt(total), lost: BigInt(coverage?.ledger?.lost ?? '0') };
}

export const madeBy = (host: Host): bigint => host.flows.reduce((sum, flow) => sum + flow.total(), 0n);
const signed = (n: bigint): string => (n > 0n ? `+${n}` : String(n));
