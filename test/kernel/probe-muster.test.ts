/** muster: its own cost and losses, against what bpftool says of the programs and the tables say of themselves. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AgentLimits } from '../../services/agent/config.ts';
import { enableStatistics } from '../../services/shared/adapters/libbpf.ts';
import { Host, second } from './agents.ts';
import { requireBpf } from './probe.ts';

const bpftool = (path: string): { run_cnt: number; run_time_ns: number; recursion_misses?: number } =>
  JSON.parse(execFileSync('bpftool', ['-j', 'prog', 'show', 'pinned', path], { encoding: 'utf8' })) as never;

test('runs and time of each program are what bpftool says, through agents that die and come back', (t) => {
  if (!requireBpf(t)) return;
  const host = new Host(t, { muster: {}, page_faults: { page_faults: 2 } });
  host.agent(3);
  for (let periods = 0; periods < 2; periods++) {
    const period = enableStatistics();
    for (let i = 0; i < 20; i++) execFileSync('true');
    closeSync(period);
    host.agent(3);
  }
  // Laid in and taken, and the agent dies before it knows; the next one says all of it again.
  host.agent(3, { dieAt: 'publish' });
  const program = join(host.path('page_faults'), 'prog-on_page_fault_user');
  // Equal where nobody else measures on this kernel at the same time.
  const before = bpftool(program);
  host.agent(3);
  const told = bpftool(program);
  const label = 'page_faults|on_page_fault_user';
  assert.ok(told.run_cnt > 100);
  const between = (metric: string, low: number, high: number): void => {
    const counted = host.counted('muster', metric).get(label)!;
    assert.ok(counted >= BigInt(low) && counted <= BigInt(high), `${metric}: ${counted}, not ${low} to ${high}`);
  };
  between('muster_runs', before.run_cnt, told.run_cnt);
  between('muster_run_time', before.run_time_ns, told.run_time_ns);
  assert.equal(host.counted('muster', 'muster_skipped').get(label) ?? 0n, BigInt(told.recursion_misses ?? 0));
});

test('losses are those of the ledgers, through generations and agents killed in between', (t) => {
  if (!requireBpf(t)) return;
  const host = new Host(t, { muster: {}, page_faults: { page_faults: 2 } });
  const often: Partial<AgentLimits> = { sealAgeNs: 2n * second, sealGapNs: 2n * second };
  for (const dieAt of ['', 'clear-slot', '', 'write-retired', 'write-control', '', 'publish', '', '']) {
    for (let i = 0; i < 5; i++) execFileSync('sh', ['-c', ':']);
    host.agent(6, { limits: often, dieAt });
  }
  // A last time, with the program detached: nothing is lost any more.
  host.root.detach(host.path('page_faults'));
  host.agent(20, { limits: { sealAgeNs: 2n * second, sealGapNs: 2n * second } });
  host.agent(3);
  const failed = [...host.failed].filter(([of]) => of.startsWith('page_faults ')).map(([, n]) => n);
  const lost = failed.reduce((x, y) => x + y, 0n);
  assert.ok(failed.length > 5, `${failed.length} generations`);
  assert.ok(lost > 100n);
  assert.equal(host.counted('muster', 'muster_unlabelled').get('page_faults|page_faults|E2BIG'), lost);
});

test('fill is looked at, and the CPU time of the agent added up', (t) => {
  if (!requireBpf(t)) return;
  const host = new Host(t, { muster: {}, page_faults: { page_faults: 2 } });
  host.agent(5, { cpuNs: 1_000_000n });
  host.agent(5, { cpuNs: 3_000_000n });
  const looks = [...host.counted('muster', 'muster_fill')].filter(([label]) =>
    label.startsWith('page_faults|page_faults|'),
  );
  assert.ok(looks.reduce((sum, [, count]) => sum + count, 0n) >= 6n, `${looks.join('; ')}`);
  assert.equal(host.counted('muster', 'muster_agent_cpu').get('agent'), 20_000_000n);
});

test('of a probe that counted before, only what comes after the first look is new', (t) => {
  if (!requireBpf(t)) return;
  const host = new Host(t, { page_faults: {}, muster: {} });
  const runs = (): number => bpftool(join(host.path('page_faults'), 'prog-on_page_fault_user')).run_cnt;
  const timed = (): void => {
    const period = enableStatistics();
    for (let i = 0; i < 10; i++) execFileSync('true');
    closeSync(period);
  };
  timed();
  // Whoever else measures on this kernel at the same time moves the counter between two lines too.
  const before = runs();
  host.agent(3);
  const looked = runs();
  timed();
  const after = runs();
  // Another process: it does not know where the counter stood, the kernel does.
  host.agent(3);
  const end = runs();
  const counted = host.counted('muster', 'muster_runs').get('page_faults|on_page_fault_user')!;
  assert.ok(before > 0 && after > looked);
  assert.ok(counted >= BigInt(after - looked), `${counted} of ${after - looked}`);
  assert.ok(counted <= BigInt(end - before), `${counted} of ${end - before}`);
});
