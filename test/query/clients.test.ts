/** docs/clients: the lines of its README generate each client and run it against the real server, with the output shown. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { syscalls } from './checkpoints.ts';
import { serve } from './rig.ts';

const root = join(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'docs/clients/README.md'), 'utf8');
const scripts = [...readme.matchAll(/```sh\n([^]*?)```/g)].map((m) => m[1]!);
const shown = /```\n(nginx [^]*?)```/.exec(readme)![1]!;

const run = (script: string, env: Record<string, string>): Promise<{ code: number | null; out: string; err: string }> =>
  new Promise((resolve) => {
    const child = spawn('bash', ['-euc', script], { cwd: root, env: { ...process.env, ...env } });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (t: string) => (out += t));
    child.stderr.setEncoding('utf8').on('data', (t: string) => (err += t));
    child.on('close', (code) => resolve({ code, out, err }));
  });

const hasPython =
  spawnSync('/usr/bin/python3', ['-c', 'import grpc']).status === 0 &&
  spawnSync('bash', ['-c', 'command -v grpc_python_plugin']).status === 0;

for (const [i, language] of ['Python', 'TypeScript'].entries())
  test(`${language}: generated, asks, and tells a refusal`, async (t) => {
    if (language === 'Python' && !hasPython)
      return t.skip('no gRPC for Python: deploy/packages.sh protobuf-compiler-grpc python3-grpcio');
    const rig = await serve();
    t.after(() => rig.close());
    const rows = [
      { labels: ['read', 'nginx'], values: [5_000_000n] },
      { labels: ['write', 'cron'], values: [84n] },
    ];
    rig.port.commit([{ host: 'web-1', tables: [{ schema: syscalls, rows }] }]);
    // Below the checkout, so that what is generated finds its packages.
    mkdirSync(join(root, 'build'), { recursive: true });
    const out = mkdtempSync(join(root, 'build/client-'));
    t.after(() => rmSync(out, { recursive: true }));
    const env = { OUT: out, ADDRESS: rig.address };
    const answered = await run(scripts[i]!, env);
    assert.deepEqual([answered.out, answered.code], [shown, 0], answered.err);
    const refused = await run(scripts[i]!.replace('syscalls comm', 'syscall comm'), env);
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, /NOT_FOUND: unknown metric "syscall"; did you mean "syscalls"\?/);
  });
