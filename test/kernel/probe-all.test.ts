/** All built-in probes together on this kernel: each loads, and docs/metrics.md says what they have. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readObject } from '../../services/loader/object/object.ts';
import type { TableSchema } from '../../services/shared/contract/lineage.ts';
import { callerLabels } from '../../services/shared/contract/lineage.ts';
import { builtProbe, checkout, loadProbe, requireBpf } from './probe.ts';

const names = readdirSync(join(checkout, 'bpf'))
  .filter((file) => file.endsWith('.bpf.c'))
  .map((file) => file.replace('.bpf.c', ''));

for (const name of names) {
  test(`${name} loads here, and all its programs are attached`, (t) => {
    if (!requireBpf(t)) return;
    // A function that every process has.
    const functions = name === 'functions' ? [{ path: process.execPath, symbol: 'main', argument: 0 }] : [];
    const probe = loadProbe(t, name, { functions });
    const wanted = readObject(builtProbe(name)).programs.map((program) => program.name);
    const attached = probe.meta.programs.map((program) => program.name);
    const missing = wanted.filter((program) => !attached.includes(program));
    if (missing.length > 0) t.diagnostic(`not on this kernel: ${missing.join(', ')}`);
    const required = readObject(builtProbe(name)).programs.filter((program) => !program.optional);
    assert.ok(required.every((program) => attached.includes(program.name)));
    assert.ok(
      probe.meta.programs.every((program) => program.skipsCounted || /^(uretprobe|perf_event)/.test(program.hook)),
      'its skipped runs are counted, where the kernel does',
    );
  });
}

/** Rows of the first table of the page: probe (or empty: the one above), table, labels, unit. */
function documented(): string[] {
  let probe = '';
  const found: string[] = [];
  for (const line of readFileSync(join(checkout, 'docs/metrics.md'), 'utf8').split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim());
    if (cells.length !== 8 || !/^`/.test(cells[2]!)) continue;
    probe = cells[1]! === '' ? probe : cells[1]!.replaceAll('`', '');
    found.push([probe, cells[2]!.replaceAll('`', ''), cells[3], cells[4]].join(' | '));
  }
  return found;
}

const described = (probe: string, table: TableSchema): string =>
  [
    probe,
    table.name,
    callerLabels(table)
      .map((label) => label.name)
      .join(', '),
    table.kind === 'histogram' ? `${table.unit}, hist.` : table.unit,
  ].join(' | ');

test('docs/metrics.md has every table with its labels and unit, and no other', () => {
  const tables = names.flatMap((name) =>
    readObject(builtProbe(name)).tables.map((table) => {
      assert.ok(table.help.length > 10, `${table.name} has a help text`);
      return described(name, table);
    }),
  );
  assert.deepEqual(documented().sort(), tables.sort());
});
