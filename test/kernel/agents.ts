/** Real probes, read by agents that know nothing of each other and may die between two effects: as after a crash. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createAgent, step } from '../../services/agent/agent.ts';
import { defaultLimits, type AgentLimits } from '../../services/agent/config.ts';
import { createPinPerformer } from '../../services/agent/perform.ts';
import type { AgentEvent } from '../../services/agent/effects.ts';
import { LibbpfProbeKernel } from '../../services/loader/adapters/libbpf-probe-kernel.ts';
import { PinRoot } from '../../services/loader/adapters/pin-root.ts';
import { resolveScope } from '../../services/loader/adapters/host.ts';
import { want } from '../../services/loader/load/wanted.ts';
import { bringUp } from '../../services/loader/loader.ts';
import { readObject } from '../../services/loader/object/object.ts';
import { possibleCpus } from '../../services/shared/adapters/libbpf.ts';
import { createPinnedTables } from '../../services/shared/adapters/libbpf-pinned-tables.ts';
import { Durable, decodeBatch } from '../../services/shared/contract/batch.ts';
import { wireNewest } from '../../services/shared/contract/wire.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { Joiner } from '../agent/rig.ts';
import { builtProbe } from './probe.ts';

export const second = 1_000_000_000n;

/** Probes below one root, and agents that come and go. */
export class Host {
  readonly root = PinRoot.acquire(`/sys/fs/bpf/muster-agents-${process.pid}`, 0);
  readonly tables = createPinnedTables(this.root.path);
  private readonly joiners = new Map<string, Joiner>();
  private nowNs = 1_000_000n * second;
  /** Failed attributions by probe and generation, as the batches say of its first table. */
  readonly failed = new Map<string, bigint>();

  constructor(t: TestContext, probes: Readonly<Record<string, Readonly<Record<string, number>>>>) {
    t.after(() => {
      this.root.removeAll();
      this.root.release();
    });
    for (const [probe, rows] of Object.entries(probes)) this.load(probe, new Map(Object.entries(rows)));
  }

  private load(probe: string, rows: ReadonlyMap<string, number>): void {
    const bytes = builtProbe(probe);
    const wanted = want(probe, readObject(bytes), possibleCpus(), resolveScope(undefined), rows);
    bringUp(new LibbpfProbeKernel(this.root), wanted, bytes, silentLog);
  }

  path(probe: string): string {
    return join(
      this.root.path,
      this.tables.list().find((d) => d.startsWith(`${probe}/`))!,
    );
  }

  /** An agent that knows nothing of the one before; ticks while `act` says so, then dies between two effects. */
  agent(ticks: number, { limits = {}, cpuNs = 0n, dieAt = '' }: AgentOptions = {}): void {
    const core = createAgent({
      host: 'h',
      hostLabels: {},
      kernelRelease: '6',
      machine: 'x86_64',
      startId: `start ${this.nowNs}`,
      intervalNs: second,
      wireVersion: wireNewest,
      limits: { ...defaultLimits, accountEveryNs: 0n, ...limits },
    });
    const now = () => ({ boottimeNs: this.nowNs, wallNs: this.nowNs });
    const performer = createPinPerformer(this.tables, now);
    const receive = (event: AgentEvent): boolean => {
      const todo = step(core, event).reverse();
      for (let effect = todo.pop(); effect; effect = todo.pop()) {
        if (effect.kind === dieAt) return false;
        const result = performer.perform(effect);
        if (effect.kind === 'log' && effect.level === 'error') assert.fail(JSON.stringify(effect));
        if (result?.kind === 'pins-failed') assert.fail(result.reason);
        if (result) todo.push(...step(core, result).reverse());
        else if (effect.kind === 'wait-grace')
          todo.push(...step(core, { kind: 'grace-passed', directory: effect.directory }).reverse());
        else if (effect.kind === 'publish') {
          const batch = decodeBatch(effect.payload);
          const { probe } = batch.lineage!;
          if (!this.joiners.has(probe)) this.joiners.set(probe, new Joiner());
          this.joiners.get(probe)!.take(batch);
          const failed = batch.tables[0]!.ledger!.failed.reduce((x, y) => x + y, 0n);
          this.failed.set(`${probe} ${batch.generation}`, failed);
          todo.push(...step(core, { kind: 'published', token: effect.token }).reverse());
          if (batch.sealed) {
            const { bootId, uuid: lineageUuid } = batch.lineage!;
            const payload = Durable.encode({ bootId, lineageUuid, generation: batch.generation }).finish();
            todo.push(...step(core, { kind: 'durable', payload }).reverse());
          }
        }
      }
      return true;
    };
    try {
      receive({ kind: 'found', directories: this.tables.list() });
      for (let i = 0; i < ticks; i++) {
        this.nowNs += second;
        if (!receive({ kind: 'tick', now: now(), cpuNs: cpuNs * BigInt(i + 1) })) return;
      }
    } finally {
      performer.closeAll();
    }
  }

  /** What a table has counted over all generations, as it was published: by label texts, joined with "|". */
  counted(probe: string, table: string): Map<string, bigint> {
    const tables = readObject(builtProbe(probe)).tables.map(({ name }) => name);
    return this.joiners.get(probe)?.totals(tables.indexOf(table)) ?? new Map<string, bigint>();
  }
}
interface AgentOptions {
  readonly limits?: Partial<AgentLimits>;
  readonly cpuNs?: bigint;
  readonly dieAt?: string;
}
