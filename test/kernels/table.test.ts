/** The table of probes by kernel, made without a kernel. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Host } from '../../services/shared/contract/query.ts';
import { builtIn } from './plans.ts';
import { probeTable } from './table.ts';

test('a row for each probe that counts by itself', () => {
  const missing = { state: 'missing', reason: 'it has no hook', programs: [] };
  const probes = builtIn.map((probe) => ({ probe, state: 'live', reason: '', programs: [] }));
  const host = { probes: [{ probe: 'cpu_time', ...missing }, ...probes.filter((p) => p.probe !== 'cpu_time')] };
  const lines = probeTable([{ title: 'Linux 6.1', host: host as unknown as Host }], builtIn).split('\n');
  const rows = lines.flatMap((line) => /^\| `(\w+)`/.exec(line)?.[1] ?? []);
  assert.deepEqual(rows, builtIn.filter((name) => name !== 'functions').sort());
  for (const name of ['cpu_profile', 'off_cpu']) assert.ok(rows.includes(name), name);
  assert.ok(lines.some((line) => /^\| `off_cpu` +\| attached +\|$/.test(line)));
  assert.ok(lines.some((line) => /^\| `cpu_time` +\| missing \(1\) \|$/.test(line)));
  assert.deepEqual(lines.slice(-2), ['', '1. it has no hook']);
});
