/** functions: known numbers of calls of a program's own functions, how long they take, what they return and are given. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile } from '../loader/compile.ts';
import { Generator } from './generator.ts';
import { expectBalanced, labelled, sumOf } from './labelled.ts';
import { checkout, loadProbe, requireBpf, type LoadedProbe } from './probe.ts';

const program = join(checkout, 'build/test/calls');
const target = (symbol: string, argument = 0) => ({ path: program, symbol, argument });

async function called(times: number): Promise<void> {
  const generator = await Generator.calls(times);
  await generator.run();
  await generator.end();
}

const calls = (probe: LoadedProbe, labels: Record<string, string>): bigint =>
  sumOf(labelled(probe, 'function_calls'), labels).count;

test('calls are counted by function, caller, argument and what was returned; recursion and all', async (t) => {
  if (!requireBpf(t)) return;
  const probe = loadProbe(t, 'functions', { functions: [target('nested'), target('naps', 1)] });
  await called(200);
  assert.equal(calls(probe, { function: 'calls:nested', comm: 'calls', argument: '' }), 800n);
  assert.equal(calls(probe, { function: 'calls:naps', argument: 'bad' }), 50n);
  assert.equal(calls(probe, { function: 'calls:naps', argument: 'good' }), 150n);
  const latency = labelled(probe, 'function_latency');
  const naps = sumOf(latency, { function: 'calls:naps' });
  assert.equal(sumOf(latency, { function: 'calls:nested', returned: 'zero' }).count, 800n, 'each frame is one call');
  assert.equal(sumOf(latency, { function: 'calls:naps', returned: 'failed' }).count, 50n);
  assert.equal(sumOf(latency, { function: 'calls:naps', returned: 'other' }).count, 150n);
  assert.ok(naps.sum >= 200n * 1_000_000n, `${naps.sum} ns: none is shorter than it slept`);
  expectBalanced(probe);
});

test('the returns’ skipped runs have no counter, and are said to be unknown; detaching ends all links', async (t) => {
  if (!requireBpf(t)) return;
  const probe = loadProbe(t, 'functions', { functions: [target('nested'), target('naps')] });
  const known = Object.fromEntries(probe.meta.programs.map((p) => [p.name, p.skipsCounted]));
  assert.equal(known['on_return'], false);
  assert.match(probe.meta.programs[0]!.hook, /^u(ret)?probe\/.*calls:nested,.*calls:naps$/);
  assert.equal(readdirSync(probe.directory).filter((name) => name.startsWith('link-')).length, 4);
  await called(1);
  assert.equal(calls(probe, {}), 5n);
  probe.detach();
  assert.equal(readdirSync(probe.directory).filter((name) => name.startsWith('link-')).length, 0);
  await called(1);
  assert.equal(calls(probe, {}), 5n, 'nothing is counted any more');
});

test('a function that is not there, and an object that names its own, are refused with what to do', (t) => {
  if (!requireBpf(t)) return;
  assert.throws(() => loadProbe(t, 'functions', { functions: [target('no_such_function')] }), /no_such_function/);
  assert.throws(() => loadProbe(t, 'functions'), /names no function/);
  assert.throws(() => loadProbe(t, 'syscalls', { functions: [target('nested')] }), /takes no functions/);
});

test('a probe of one’s own may name its function in its section', async (t) => {
  if (!requireBpf(t)) return;
  const source = `#include "muster.bpf.h"
struct own_key { struct muster_comm comm; };
MUSTER_COUNTER(own, struct own_key, 64, "calls", "calls of one function");
SEC("uprobe/${program}:nested")
int on_nested(void *regs)
{
	struct own_key key = { .comm = muster_comm() };

	muster_add(own, &key, 1);
	return 0;
}
char LICENSE[] SEC("license") = "Dual BSD/GPL";
`;
  const probe = loadProbe(t, 'own', {}, compile('own', source));
  await called(30);
  assert.equal(sumOf(labelled(probe, 'own'), { comm: 'calls' }).count, 120n);
});
