/** GetCost: measured or absent, by program; sums over all pages; nothing about budgets that do not exist. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Rejected } from '../../services/query/answer/rejection.ts';
import { finish, Query } from '../../services/query/query.ts';
import { protoJson } from '../../services/shared/contract/proto-json.ts';
import { fleetOf, nowMs, runqueue, syscalls } from './checkpoints.ts';

const request = { selector: '', probe: '', pageSize: 0, pageToken: '' };
const measured = {
  runs: 5000n,
  runTimeNs: 200_000n,
  periodNs: 250_000_000n,
  periodRuns: 1000n,
  periodRunTimeNs: 40_000n,
};
const fleet = fleetOf([
  { host: 'a', tables: [{ schema: syscalls, rows: [] }], measured, kernelBytes: 4096n },
  { host: 'b', tables: [{ schema: syscalls, rows: [] }], skipped: undefined },
  {
    host: 'c',
    tables: [{ schema: runqueue, rows: [] }],
    measured: { ...measured, periodRuns: 0n, periodRunTimeNs: 0n },
    mergedMs: nowMs - 60_000,
  },
]);
const ask = (wanted: Partial<typeof request>) =>
  finish(new Query().answer('GetCost', { ...request, ...wanted }, fleet, nowMs));

test('a run, runs a second, share of a CPU and kernel memory; what was never measured is absent, and said', () => {
  const { rows, cpuShare, kernelBytes, notes } = ask({});
  const [a, b, c] = rows;
  assert.deepEqual([a!.nsPerRun, a!.runsPerSecond, a!.kernelBytes, a!.skipped], [40, 4000, '4096', '0']);
  assert.ok(Math.abs(a!.cpuShare! - 0.00016) < 1e-12);
  assert.deepEqual([a!.runs, a!.runTimeNs], ['5000', '200000']);
  for (const name of [
    'nsPerRun',
    'runsPerSecond',
    'cpuShare',
    'kernelBytes',
    'skipped',
    'budgetCpuShare',
    'degradation',
  ])
    assert.ok(!(name in b!), name);
  // Measured, and it did not run: no time of a run, but a rate of zero, which JSON shows.
  assert.deepEqual([c!.nsPerRun, c!.runsPerSecond, c!.cpuShare], [undefined, 0, 0]);
  const json = protoJson({ ...c, _runsPerSecond: 'runsPerSecond' }) as { runsPerSecond: number; period: string };
  assert.deepEqual([json.runsPerSecond, json.period], [0, '0.250s']);
  assert.equal(cpuShare, a!.cpuShare);
  assert.equal(kernelBytes, '4096');
  assert.match(notes.join(), /^1 of 3 programs are not measured.*1 hosts are stale, the first is c/);
});

test('by probe and host, in pages; a probe that is none is not found', () => {
  assert.deepEqual(
    ask({ probe: 'runqueue' }).rows.map((r) => r.host),
    ['c'],
  );
  assert.equal(ask({ selector: 'host="b"' }).cpuShare, undefined);
  const core = new Query();
  const first = finish(core.answer('GetCost', { ...request, pageSize: 2 }, fleet, nowMs));
  const second = core.kept('GetCost', { ...request, pageSize: 2, pageToken: first.nextPageToken })!;
  assert.deepEqual([...first.rows, ...second.rows], ask({}).rows);
  assert.equal(second.cpuShare, first.cpuShare);
  assert.throws(
    () => ask({ probe: 'syscal' }),
    (e) => e instanceof Rejected && e.rejection.kind === 'unknown-probe' && e.rejection.suggestion === 'syscalls',
  );
});
