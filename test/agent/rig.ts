/** One agent core on one simulated kernel, driven by hand: ticks, answers of the bus and words of the aggregator. */
import assert from 'node:assert/strict';
import { createAgent, step } from '../../services/agent/agent.ts';
import type { AgentState } from '../../services/agent/agent-state.ts';
import { defaultLimits, type AgentLimits } from '../../services/agent/config.ts';
import type { AgentEffect, AgentEvent, Instant } from '../../services/agent/effects.ts';
import { createPinPerformer, type PinPerformer } from '../../services/agent/perform.ts';
import { Durable, Resync, decodeBatch, type Batch } from '../../services/shared/contract/batch.ts';
import { decodeControl, type Control } from '../../services/shared/contract/control.ts';
import { decodeColumns, type Columns } from '../../services/shared/contract/columns.ts';
import { wireNewest } from '../../services/shared/contract/wire.ts';
import { toBigInt } from '../../services/shared/algebra/limbs.ts';
import type { ErrorCode } from '../../services/shared/runtime/errors.ts';
import { createPins, SimLineage, type PinFaults } from '../simulation/pins.ts';
import type { ProbeModel } from '../simulation/catalogue.ts';
import { createRandom } from '../simulation/random.ts';

export const second = 1_000_000_000n;
type EffectOf<K extends AgentEffect['kind']> = Extract<AgentEffect, { kind: K }>;

export interface Sent {
  readonly token: number;
  readonly id: string;
  readonly batch: Batch;
  readonly bytes: number;
}

/** A machine whose lineages outlive the agents on it. */
export class Rig {
  readonly lineages = new Map<string, SimLineage>();
  readonly faults: PinFaults = { clearLeaves: 0 };
  boottimeNs = 1000n * second;
  /** By how much the wall clock was set. */
  wallAheadNs = 0n;
  private nextUuid = 1;

  attach(model: ProbeModel, cpus = 2): SimLineage {
    const uuid = (this.nextUuid++).toString(16).padStart(32, '0');
    const lineage = new SimLineage(model, uuid, 'b'.repeat(32), cpus, this.now());
    this.lineages.set(lineage.directory, lineage);
    return lineage;
  }

  now(): Instant {
    return { boottimeNs: this.boottimeNs, wallNs: this.boottimeNs + this.wallAheadNs + 1_700_000_000n * second };
  }
}

/** `n` events of key `key`: into the slot that programs write now; `race` as in KernelSlot. */
export function count(
  lineage: SimLineage,
  key: number,
  n: number,
  { table = 0, cpu = 0, sum = n, race = false } = {},
): void {
  const slot = lineage.slots[table]![Number(lineage.control & 1n)]!;
  slot.begin(cpu, n);
  slot.finish(cpu, key, n, sum, race);
}

export class TestAgent {
  readonly core: AgentState;
  readonly performer: PinPerformer;
  /** Everything published, and what is not answered yet. */
  readonly sent: Sent[] = [];
  readonly open: number[] = [];
  readonly effects: AgentEffect[] = [];
  /** Called before each call of a port; may throw. */
  gate: (call: string) => void = () => undefined;
  /** Answers of the bus; undefined: none yet. */
  answer: (sent: Sent) => 'published' | ErrorCode | undefined = () => 'published';
  autoGrace = true;

  constructor(
    readonly rig: Rig,
    limits: Partial<AgentLimits> = {},
    startId = 'start-1',
    wireVersion = wireNewest,
    measureEveryNs?: bigint,
  ) {
    const pins = createPins(rig.lineages, this, (call) => this.gate(call), rig.faults, createRandom(1n));
    this.performer = createPinPerformer(pins, () => rig.now());
    this.core = createAgent({
      host: 'web-1.example',
      hostLabels: { role: 'web' },
      kernelRelease: '6.1.0',
      machine: 'x86_64',
      startId,
      intervalNs: second,
      wireVersion,
      limits: { ...defaultLimits, ...limits },
      measureEveryNs,
    });
  }

  /** One interval: list, tick, and all that follows at once. */
  tick(seconds = 1): void {
    this.rig.boottimeNs += BigInt(Math.round(seconds * 1000)) * 1_000_000n;
    this.receive({ kind: 'found', directories: [...this.rig.lineages.keys()] });
    this.receive({ kind: 'tick', now: this.rig.now() });
  }

  receive(event: AgentEvent): void {
    const todo = step(this.core, event).reverse();
    for (let effect = todo.pop(); effect; effect = todo.pop()) {
      this.effects.push(effect);
      const result = this.performer.perform(effect);
      if (result) todo.push(...step(this.core, result).reverse());
      else if (effect.kind === 'publish') this.published(effect);
      else if (effect.kind === 'wait-grace' && this.autoGrace) {
        todo.push(...step(this.core, { kind: 'grace-passed', directory: effect.directory }).reverse());
      }
    }
  }

  private published(effect: EffectOf<'publish'>): void {
    const sent: Sent = {
      token: effect.token,
      id: effect.id,
      batch: decodeBatch(effect.payload),
      bytes: effect.payload.length,
    };
    this.sent.push(sent);
    this.open.push(effect.token);
    const answer = this.answer(sent);
    if (answer) this.later.push(() => this.settle(sent.token, answer));
  }

  private readonly later: (() => void)[] = [];

  /** Lets the bus answer. */
  settleAll(): void {
    for (let next = this.later.shift(); next; next = this.later.shift()) next();
  }

  settle(token: number, answer: 'published' | ErrorCode): void {
    this.open.splice(this.open.indexOf(token), 1);
    this.receive(
      answer === 'published'
        ? { kind: 'published', token }
        : { kind: 'publish-failed', token, code: answer, reason: answer },
    );
  }

  /** Ticks with the bus answering in between. */
  run(ticks: number, seconds = 1): void {
    for (let i = 0; i < ticks; i++) {
      this.tick(seconds);
      this.settleAll();
    }
  }

  durable(lineage: SimLineage, generation: bigint): void {
    const payload = Durable.encode({
      bootId: hex(lineage.bootId),
      lineageUuid: hex(lineage.uuid),
      generation,
    }).finish();
    this.receive({ kind: 'durable', payload });
    this.settleAll();
  }

  resync(uuid = ''): void {
    this.receive({ kind: 'resync', payload: Resync.encode({ reason: 'test', lineageUuid: hex(uuid) }).finish() });
  }

  logged(level: EffectOf<'log'>['level']): string[] {
    return this.of('log')
      .filter((e) => e.level === level)
      .map((e) => e.message);
  }

  of<K extends AgentEffect['kind']>(kind: K): EffectOf<K>[] {
    return this.effects.filter((e): e is EffectOf<K> => e.kind === kind);
  }
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
export const controlOf = (lineage: SimLineage): Control => decodeControl(lineage.control)!;
export const columnsOf = (batch: Batch, table = 0): Columns => decodeColumns(batch.tables[table]!.columns);

/**
 * A receiver that joins by maximum and knows nothing else: per generation, row → labels and first value. Totals are by
 * label, over all generations; row 0 is "overflow".
 */
export class Joiner {
  private readonly rows = new Map<string, bigint>();
  private readonly labels = new Map<string, string>();

  take(batch: Batch): void {
    batch.tables.forEach((block, t) => {
      const columns = decodeColumns(block.columns);
      const of = (id: number): string => `${batch.lineage!.uuid.toString('hex')}/${batch.generation}/${t}/${id}`;
      for (const d of columns.definitions) {
        const text = d.labels.join('|');
        const known = this.labels.get(of(d.id));
        assert.ok(known === undefined || known === text, `row ${d.id} changed from ${known} to ${text}`);
        this.labels.set(of(d.id), text);
      }
      for (let r = 0; r < columns.rowCount; r++) {
        const id = of(columns.ids[r]!);
        const value = toBigInt(columns.values, r * 2);
        if (value > (this.rows.get(id) ?? 0n)) this.rows.set(id, value);
      }
    });
  }

  /** Σ by label of one table; rows without a definition are under "?". */
  totals(table = 0): Map<string, bigint> {
    const totals = new Map<string, bigint>();
    for (const [id, value] of this.rows) {
      const [, , t, row] = id.split('/');
      if (Number(t) !== table) continue;
      const label = row === '0' ? 'overflow' : (this.labels.get(id) ?? '?');
      totals.set(label, (totals.get(label) ?? 0n) + value);
    }
    return totals;
  }

  sum(table = 0): bigint {
    let sum = 0n;
    for (const value of this.totals(table).values()) sum += value;
    return sum;
  }
}

/** The truth by series: what programs counted, and under "overflow" what found no row. */
export function truthOf(lineage: SimLineage, table = 0): Map<string, bigint> {
  const truth = new Map<string, bigint>();
  const keys = lineage.model.keys[table]!;
  for (let key = 0; key <= keys.count; key++) {
    const n = toBigInt(lineage.truth[table]!, key * 2);
    const series = key === keys.count ? 'overflow' : keys.series[key]!;
    if (n > 0n) truth.set(series, (truth.get(series) ?? 0n) + n);
  }
  return truth;
}

export const sorted = (totals: ReadonlyMap<string, bigint>): [string, bigint][] =>
  [...totals].filter(([, n]) => n > 0n).sort();
