/** muster: its own cost and losses, against what bpftool says of the programs and the tables say of themselves. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
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
import { enableStatistics, possibleCpus } from '../../services/shared/adapters/libbpf.ts';
import { createPinnedTables } from '../../services/shared/adapters/libbpf-pinned-tables.ts';
import { Durable, decodeBatch } from '../../services/shared/contract/batch.ts';
import { wireNewest } from '../../services/shared/contract/wire.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { Joiner } from '../agent/rig.ts';
import { builtProbe, requireBpf } from './probe.ts';

const second = 1_000_000_000n;

/** muster and page_faults (of two rows, so that it overflows) below one root, and agents that come and go. */
class Host {
  readonly root = PinRoot.acquire(`/sys/fs/bpf/muster-own-${process.pid}`, 0);
  readonly tables = createPinnedTables(this.root.path);
  private readonly joiner = new Joiner();
  private readonly ownTables = readObject(builtProbe('muster')).tables.map((table) => table.name);
  private nowNs = 1_000_000n * second;
  /** Failed attributions of page_faults by generation, as its batches say: E2BIG and the others. */
  readonly failed = new Map<bigint, bigint>();

  constructor(t: TestContext) {
    t.after(() => {
      this.root.removeAll();
      this.root.release();
    });
    this.load('muster', new Map());
    this.load('page_faults', new Map([['page_faults', 2]]));
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
          if (batch.lineage!.probe === 'muster') this.joiner.take(batch);
          else {
            const sum = batch.tables[0]!.ledger!.failed.reduce((x, y) => x + y, 0n);
            this.failed.set(batch.generation, sum);
          }
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

  /** What muster has counted over all generations, as it was published: by label texts, joined with "|". */
  own(table: string): Map<string, bigint> {
    return this.joiner.totals(this.ownTables.indexOf(table));
  }
}
interface AgentOptions {
  readonly limits?: Partial<AgentLimits>;
  readonly cpuNs?: bigint;
  readonly dieAt?: string;
}

const bpftool = (path: string): { run_cnt: number; run_time_ns: number; recursion_misses?: number } =>
  JSON.parse(execFileSync('bpftool', ['-j', 'prog', 'show', 'pinned', path], { encoding: 'utf8' })) as never;

test('runs and time of each program are what bpftool says, through agents that die and come back', (t) => {
  if (!requireBpf(t)) return;
  const host = new Host(t);
  host.agent(3);
  const period = enableStatistics();
  for (let i = 0; i < 20; i++) execFileSync('true');
  closeSync(period);
  host.agent(3);
  // Laid in and taken, and the agent dies before it knows; the next one says all of it again.
  host.agent(3, { dieAt: 'publish' });
  host.agent(3);
  const told = bpftool(join(host.path('page_faults'), 'prog-on_page_fault_user'));
  const label = 'page_faults|on_page_fault_user';
  assert.ok(told.run_cnt > 100);
  assert.equal(host.own('muster_runs').get(label), BigInt(told.run_cnt));
  assert.equal(host.own('muster_run_time').get(label), BigInt(told.run_time_ns));
  assert.equal(host.own('muster_skipped').get(label) ?? 0n, BigInt(told.recursion_misses ?? 0));
});

test('losses are those of the ledgers, through generations and agents killed in between', (t) => {
  if (!requireBpf(t)) return;
  const host = new Host(t);
  const often: Partial<AgentLimits> = { sealAgeNs: 2n * second, sealGapNs: 2n * second };
  for (const dieAt of ['', 'clear-slot', '', 'write-retired', 'write-control', '', 'publish', '', '']) {
    for (let i = 0; i < 5; i++) execFileSync('sh', ['-c', ':']);
    host.agent(6, { limits: often, dieAt });
  }
  // A last time, with the program detached: nothing is lost any more.
  host.root.detach(host.path('page_faults'));
  host.agent(20, { limits: { sealAgeNs: 2n * second, sealGapNs: 2n * second } });
  host.agent(3);
  const lost = [...host.failed.values()].reduce((x, y) => x + y, 0n);
  assert.ok(host.failed.size > 5, `${host.failed.size} generations`);
  assert.ok(lost > 100n);
  assert.equal(host.own('muster_unlabelled').get('page_faults|page_faults|E2BIG'), lost);
});

test('fill is looked at, and the CPU time of the agent added up', (t) => {
  if (!requireBpf(t)) return;
  const host = new Host(t);
  host.agent(5, { cpuNs: 1_000_000n });
  host.agent(5, { cpuNs: 3_000_000n });
  const looks = [...host.own('muster_fill')].filter(([label]) => label.startsWith('page_faults|page_faults|'));
  assert.ok(looks.reduce((sum, [, count]) => sum + count, 0n) >= 6n, `${looks.join('; ')}`);
  assert.equal(host.own('muster_agent_cpu').get('agent'), 20_000_000n);
});
