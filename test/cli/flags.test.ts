/** Flags of a verb, the environment and configuration files: which of them is heard, of switches and lists too. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { readFlags } from '../../services/cli/adapters/flags.ts';
import { upOptionSpecs } from '../../services/cli/up/options.ts';

const folder = mkdtempSync(join(tmpdir(), 'muster-flags-'));
process.env['MUSTER_CONFIG_DIR'] = folder;
after(() => rmSync(folder, { recursive: true }));

const usage = { name: 'up', summary: '', operands: [], options: upOptionSpecs, examples: ['', ''] as const };
function read(argv: readonly string[], file: string, env: Readonly<Record<string, string>> = {}) {
  writeFileSync(join(folder, 'config.yaml'), file);
  Object.assign(process.env, env);
  try {
    const { options, origins } = readFlags(usage, argv, () => undefined, 'up')!;
    return { rows: options['rows'], keepPins: options['keepPins'], origin: origins['rows'] };
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
  }
}

test('a list that a flag or the environment gives takes the place of the one in a file', () => {
  const file = 'up:\n  rows: [a=1, b=2]\n';
  assert.deepEqual(read([], file).rows, ['a=1', 'b=2']);
  assert.deepEqual(read(['--rows', 'c=3', '--rows', 'd=4'], file).rows, ['c=3', 'd=4']);
  const { rows, origin } = read([], file, { MUSTER_ROWS: 'e=5 f=6' });
  assert.deepEqual([rows, origin], [['e=5', 'f=6'], 'environment']);
});

test('a switch can be switched off, and what is neither true nor false is refused', () => {
  assert.equal(read([], '').keepPins, undefined);
  assert.equal(read([], 'up:\n  keep-pins: true\n').keepPins, true);
  assert.equal(read([], 'up:\n  keep-pins: yes\n').keepPins, true);
  assert.equal(read([], 'up:\n  keep-pins: true\n', { MUSTER_KEEP_PINS: 'false' }).keepPins, false);
  assert.equal(read(['--keep-pins'], '', { MUSTER_KEEP_PINS: '0' }).keepPins, true);
  assert.throws(() => read([], '', { MUSTER_KEEP_PINS: 'maybe' }), /MUSTER_KEEP_PINS "maybe"/);
  assert.throws(() => read([], 'up:\n  keep-pins: maybe\n'), /config\.yaml: keep-pins/);
});
