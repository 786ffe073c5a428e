/**
 * Muster's own cost and losses, from what the agent reads anyway: as accounts for the probe `muster`, whose program counts
 * them (bpf/muster.bpf.c). Invariant: of a counter only where it stands is ever said, so that it may be said again; what
 * a sealed generation could not label is said before its slot can be cleared.
 */
import {
  accountKinds,
  accountTaken,
  accountsMax,
  accountsProbe,
  encodeAccounts,
  type Account,
  type AccountKind,
} from '../shared/contract/accounts.ts';
import { toBigInt } from '../shared/algebra/limbs.ts';
import type { AgentState, Effects } from './agent-state.ts';
import type { GenerationRows, LineageState } from './lineage-state.ts';

export interface OwnAccounts {
  /** Where each counter stood when it was counted last. */
  readonly said: Map<string, { readonly kind: AccountKind; readonly source: Source; readonly value: bigint }>;
  /** By lineage older than the one that counts: where its counters stood at the first look, and its generation then. */
  readonly first: Map<string, { readonly generation: bigint; readonly stood: Map<string, bigint> }>;
  /** Of sealed generations: not said yet. At most finalsMax, the newest. */
  readonly finals: Said[];
  /** Laid in, without an answer. */
  laid: readonly Account[];
  dueNs: bigint;
  /** CPU time of this process, now and as counted. */
  cpuNs: bigint;
  cpuSaidNs: bigint;
  full: boolean;
}
type Source = NonNullable<Account['source']>;
type Said = Account & { readonly source: Source };

/** What waits where nobody takes it, such as while the probe's pins are another agent's. */
export const finalsMax = 256;

export const createOwnAccounts = (): OwnAccounts => ({
  said: new Map(),
  first: new Map(),
  finals: [],
  laid: [],
  dueNs: 0n,
  cpuNs: 0n,
  cpuSaidNs: 0n,
  full: false,
});

/** Failures by class as a ledger keeps them (bpf/row.h); 0: other. */
const errnoOfClass = [7, 12, 16, 0];
const keyOf = (kind: AccountKind, { uuid, number }: Source): string => `${kind} ${uuid} ${number}`;

/** The lineage that counts accounts, where this agent is the one to write to its pins. */
const ownLineage = (a: AgentState): LineageState | undefined =>
  [...a.lineages.values()].find(
    (l) =>
      l.meta.probe === accountsProbe &&
      l.held &&
      !l.gone &&
      !l.ended &&
      l.ref.detachedWallNs === 0n &&
      l.phase !== 'lost' &&
      l.phase !== 'broken',
  );

/** Lays in what is new, every few seconds. */
export function accountIfDue(a: AgentState, out: Effects): void {
  if (a.now.boottimeNs < a.own.dueNs) return;
  account(a, out);
}

export function account(a: AgentState, out: Effects): void {
  const m = ownLineage(a);
  if (!m) return;
  a.own.dueNs = a.now.boottimeNs + a.config.limits.accountEveryNs;
  const due = [...forgettable(a), ...a.own.finals, ...counters(a, m), ...amounts(a)];
  // What finds no room this time is still due at the next tick.
  if (due.length > accountsMax) a.own.dueNs = 0n;
  layIn(a, m, due.slice(0, accountsMax), out);
}

/** What a sealed generation could not label, as it will never change again. */
export function accountSealed(a: AgentState, l: LineageState, g: GenerationRows, out: Effects): void {
  // Without the probe nobody will count it: what is older than a lineage of it is none of its business.
  if (![...a.lineages.values()].some(({ meta }) => meta.probe === accountsProbe)) return;
  const known = new Set(a.own.finals.map((f) => keyOf(f.kind, f.source)));
  const own = ownLineage(a);
  a.own.finals.push(...unlabelled(a, own, l, g).filter((f) => !known.has(keyOf(f.kind, f.source))));
  a.own.finals.splice(0, a.own.finals.length - finalsMax);
  if (own && a.own.finals.length > 0) layIn(a, own, a.own.finals.slice(0, accountsMax), out);
}

/** The answers to what was laid in, a byte each; fewer where the walk ended before. */
export function accounted(a: AgentState, answers: Uint8Array, out: Effects): void {
  const { own } = a;
  own.laid.forEach((one, i) => {
    if (answers[i] === undefined) return;
    const final = own.finals.indexOf(one as Said);
    // Whatever the answer: what stays in the list would keep others out.
    if (final >= 0) own.finals.splice(final, 1);
    if (answers[i] !== accountTaken) {
      if (!own.full) out.log('warn', 'accounts are left out: the probe muster keeps no more sources', {});
      own.full = true;
      return;
    }
    if (one.kind === 'agentCpu') own.cpuSaidNs += one.value;
    else if (one.kind === 'forget') own.said.delete(keyOf(kindOf(one.value), one.source!));
    else if (one.source) own.said.set(keyOf(one.kind, one.source), { ...one, source: one.source });
  });
  if (answers.length < own.laid.length) own.dueNs = 0n;
  own.laid = [];
}

function layIn(a: AgentState, m: LineageState, accounts: readonly Account[], out: Effects): void {
  if (accounts.length === 0) return;
  a.own.laid = accounts;
  out.add({ kind: 'account', directory: m.directory, accounts: encodeAccounts(accounts), count: accounts.length });
}

function counters(a: AgentState, m: LineageState): Account[] {
  return [...a.lineages.values()].flatMap((l) => {
    const { probe, uuid } = l.meta;
    const programs = l.programs.flatMap(({ program, runs, runTimeNs, skipped = 0n }) => {
      const number = BigInt(l.meta.programs.findIndex((p) => p.name === program));
      const of = { source: { uuid, number }, probe, part: program };
      return [
        ...news(a, m, l, { kind: 'runs', value: runs, ...of }),
        ...news(a, m, l, { kind: 'runTime', value: runTimeNs, ...of }),
        ...news(a, m, l, { kind: 'skipped', value: skipped, ...of }),
      ];
    });
    return [...programs, ...unlabelled(a, m, l, l.active)];
  });
}

function unlabelled(a: AgentState, m: LineageState | undefined, l: LineageState, g: GenerationRows): Said[] {
  if (g.startedAtNs === undefined) return [];
  return g.tables.flatMap(({ schema, ledger }, t) =>
    errnoOfClass.flatMap((errno, c) =>
      news(
        a,
        m,
        l,
        {
          kind: 'unlabelled',
          source: { uuid: l.meta.uuid, number: (g.generation << 16n) | BigInt(t << 4) | BigInt(c) },
          value: toBigInt(ledger, 2 + 2 * c),
          errno,
          probe: l.meta.probe,
          part: schema.name,
        },
        g.generation,
      ),
    ),
  );
}

/**
 * The counter, if it stands elsewhere than said. What an older lineage counted before this process saw it is not new,
 * but all of a generation that began since; nor is what was said already, be it to an earlier lineage of `muster`.
 */
function news({ own }: AgentState, m: LineageState | undefined, l: LineageState, one: Said, generation = 0n): Said[] {
  const key = keyOf(one.kind, one.source);
  const said = own.said.get(key);
  if (said && said.value >= one.value) return [];
  let before = said?.value ?? 0n;
  if (!said && m !== undefined && l.ref.createdBoottimeNs < m.ref.createdBoottimeNs) {
    const { uuid } = l.meta;
    const look = own.first.get(uuid) ?? { generation: l.active.generation, stood: new Map<string, bigint>() };
    own.first.set(uuid, look);
    if (generation <= look.generation) {
      before = look.stood.get(key) ?? one.value;
      look.stood.set(key, before);
    }
  }
  return one.value === 0n ? [] : [{ ...one, before }];
}

function amounts(a: AgentState): Account[] {
  const cpu = a.own.cpuNs - a.own.cpuSaidNs;
  const fill = [...a.lineages.values()].flatMap(({ meta, active }) =>
    active.startedAtNs === undefined
      ? []
      : active.tables.map(({ schema, rowsIssued }): Account => ({
          kind: 'fill',
          value: BigInt(Math.ceil((rowsIssued * 100) / schema.rows)),
          probe: meta.probe,
          part: schema.name,
        })),
  );
  return [...(cpu > 0n ? [{ kind: 'agentCpu', value: cpu, probe: '', part: 'agent' } as const] : []), ...fill];
}

/** Counters that will not come again: of lineages that are gone, and of generations before the last one. */
function forgettable(a: AgentState): Account[] {
  const live = new Map([...a.lineages.values()].map((l) => [l.meta.uuid, l.active.generation]));
  for (const uuid of a.own.first.keys()) if (!live.has(uuid)) a.own.first.delete(uuid);
  return [...a.own.said.values()].flatMap(({ kind, source }): Account[] => {
    const generation = live.get(source.uuid);
    const over = kind === 'unlabelled' && generation !== undefined && source.number >> 16n < generation - 1n;
    if (generation !== undefined && !over) return [];
    return [{ kind: 'forget', source, value: accountKinds[kind], probe: '', part: '' }];
  });
}

const kindOf = (number: bigint): AccountKind =>
  (Object.keys(accountKinds) as AccountKind[]).find((kind) => accountKinds[kind] === number)!;
