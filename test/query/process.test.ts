/** The process: what it says when it is ready, away from its store, refused an address, and at its end. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { connectQuery, QueryError } from '../../services/shared/adapters/grpc-client.ts';

const main = join(import.meta.dirname, '../../services/query/main.ts');
const nobody = '127.0.0.1:1';

function start(flags: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', main, '--log-level', 'error', ...flags], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, out, err })),
  );
  return { child, ended, ready: () => readyLine(child, ended) };
}

function readyLine(child: ChildProcess, ended: Promise<{ code: number | null; err: string }>) {
  return new Promise<{ ready: string; listen: string[]; serving: boolean }>((resolve, reject) => {
    child.stdout!.once('data', (text: string) => resolve(JSON.parse(text)));
    void ended.then(({ code, err }) => reject(new Error(`ended with ${code}: ${err}`)));
  });
}

test(
  'without a store it serves, says so in every answer, and ends with 0 on SIGTERM',
  { timeout: 60_000 },
  async () => {
    const first = start(['--listen', '127.0.0.1:0', '--redis', nobody]);
    const { ready, listen, serving } = await first.ready();
    assert.deepEqual([ready, serving], ['query', false]);
    const client = connectQuery(listen[0]!);
    const error = await client.call('Query', {}).catch((e: unknown) => e);
    assert.ok(error instanceof QueryError);
    assert.deepEqual([error.status.code, error.status.retryAfterMs], ['UNAVAILABLE', 1000]);
    assert.match(error.message, /127\.0\.0\.1:1/);
    client.close();

    const second = await start(['--listen', listen[0]!, '--redis', nobody]).ended;
    assert.equal(second.code, 1);
    const lines = second.err.trimEnd().split('\n');
    assert.equal(lines.length, 3, second.err);
    assert.match(lines[0]!, /^error: listen on 127\.0\.0\.1:\d+: the address is in use$/);
    assert.match(lines[2]!, /^ {2}fix: choose another --listen address$/);

    first.child.kill('SIGTERM');
    assert.equal((await first.ended).code, 0);
  },
);

test(
  'an address that others can reach, and a flag that is none, are refused as usage',
  { timeout: 60_000 },
  async () => {
    const [open, flag] = await Promise.all([start(['--listen', '0.0.0.0:0']).ended, start(['--lisen', 'x']).ended]);
    assert.deepEqual([open.code, flag.code], [2, 2]);
    assert.match(open.err, /why: others could reach it.*\n {2}fix: .*--insecure-listen\n$/);
    assert.match(flag.err, /did you mean --listen\?/);
  },
);

test('it ends when its parent does', { timeout: 60_000 }, async () => {
  const child = start(['--listen', '127.0.0.1:0', '--redis', nobody], { MUSTER_STDIN_LIFELINE: '1' });
  await child.ready();
  child.child.stdin.end();
  assert.equal((await child.ended).code, 0);
});
