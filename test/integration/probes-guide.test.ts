/** docs/probes.md, followed to the letter in a folder of its own: its files are written, its commands run, and what it shows is seen. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { meanings } from '../../services/agent/labels/decoders.ts';
import { kernelNamed } from '../../services/loader/load/kernel-names.ts';
import { requireOrSkip } from '../require.ts';
import { cannotRun, Instance, root } from './instance.ts';

const guide = readFileSync(join(root, 'docs/probes.md'), 'utf8');

interface Block {
  readonly kind: string;
  /** Of a file that the reader is told to save. */
  readonly name: string;
  readonly text: string;
}
const blocks: Block[] = [...guide.matchAll(/^```(\w+)(?: (\S+))?\n([^]*?)^```$/gm)].map((m) => ({
  kind: m[1]!,
  name: m[2] ?? '',
  text: m[3]!,
}));

/** A line of the guide as a pattern: numbers are any, "…" is any text, spaces are any number of them. */
const pattern = (line: string): RegExp =>
  new RegExp(
    `^\\s*${line
      .trim()
      .replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
      .replace(/…/g, '.*')
      .replace(/\s+/g, '\\s+')}`,
    'm',
  );

/** One shell for the whole guide: commands in order, with what each block printed. */
async function runBlocks(home: string, env: Record<string, string>): Promise<string[]> {
  const script = blocks
    .map(({ kind, name, text }) =>
      kind === 'c'
        ? `cat >${name} <<'END_OF_FILE'\n${text}END_OF_FILE\n`
        : kind === 'sh'
          ? `printf '\\n==block\\n'\n${text}`
          : '',
    )
    .join('');
  const shell = spawn('bash', ['-eu', '-c', `exec 2>&1\n${script}`], {
    cwd: home,
    env: { ...process.env, HOME: home, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  shell.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const code = await new Promise((resolve) => shell.on('close', resolve));
  assert.equal(code, 0, output);
  return output.split('\n==block\n').slice(1);
}

test('every file, every command and every answer of the guide', async (t) => {
  if (!requireOrSkip(t, 'root', cannotRun === undefined)) return;
  const home = mkdtempSync(join(tmpdir(), 'muster-guide-'));
  symlinkSync(root, join(home, 'muster'));
  const instance = await Instance.start(['--probes', 'syscalls', '--host', 'guide']);
  try {
    const outputs = await runBlocks(home, { MUSTER_STATE_DIR: instance.stateDir, MUSTER_SERVER: instance.listen });
    let at = -1;
    for (const { kind, text } of blocks) {
      if (kind === 'sh') at++;
      if (kind !== 'text') continue;
      for (const line of text.trimEnd().split('\n')) assert.match(outputs[at]!, pattern(line));
    }
    // Through gRPC, as an internal tool would: two programs' worth of one metric, decoded, and to the last event.
    const { rows } = await instance.query({
      metric: 'signals_sent',
      selector: 'sender="bash",signal="SIGWINCH"',
      range: 'all',
    });
    assert.deepEqual(
      rows.map((row) => [row.labels['signal'], row.labels['sender'], row.value]),
      [['SIGWINCH', 'bash', '1000']],
    );
    const { metrics } = await instance.client.call('ListMetrics', {});
    assert.deepEqual(metrics.map((m) => m.name).sort(), ['run_slices', 'signals_sent', 'syscalls']);
  } finally {
    await instance.discard();
    rmSync(home, { recursive: true, force: true });
  }
});

test('every meaning that the guide lists has a decoder, or names of the kernel', () => {
  const sentence = /Meanings: ([^]*?)\. A number/.exec(guide)![1]!;
  const listed = [...sentence.matchAll(/`(\w+)`/g)].map((m) => m[1]!);
  assert.ok(listed.length > 8);
  for (const name of listed) assert.ok(meanings.has(name) || kernelNamed.includes(name), name);
});
