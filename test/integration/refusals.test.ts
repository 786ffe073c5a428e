/** What keeps `muster up` from starting is said in three lines: what, why, the next command; and nothing is left behind. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cannotRun, cli, muster } from './instance.ts';

const scratch = (): string => mkdtempSync(join(tmpdir(), 'muster-refusal-'));

function refused(argv: readonly string[], wrapper: readonly string[], code: number, words: RegExp): void {
  const stateDir = scratch();
  try {
    const run = muster(['up', '--state-dir', join(stateDir, 'state'), '--listen', '127.0.0.1:0', ...argv], wrapper);
    const lines = run.stderr.trim().split('\n').slice(-3);
    assert.match(lines.join('\n'), words);
    assert.deepEqual(
      lines.map((l) => l.split(':')[0]),
      ['error', '  why', '  fix'],
    );
    assert.equal(run.code, code, run.stderr);
    assert.equal(run.stdout, '');
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
}

/** In a mount namespace of its own where a program is not there. */
const without = (path: string): string[] => [
  'unshare',
  '--mount',
  'sh',
  '-c',
  `mount --bind /dev/null ${path} && exec "$@"`,
  'sh',
];

describe('muster up is refused', { skip: cannotRun }, () => {
  test('without the privilege to load BPF', () => {
    refused([], ['setpriv', '--inh-caps=-all', '--bounding-set=-all'], 1, /CAP_BPF[^]*sudo/);
  });
  test('without nats-server', () =>
    refused([], without('/usr/sbin/nats-server'), 1, /nats-server[^]*apt-get install nats-server[^]*--nats/));
  test('without redis-server', () => {
    refused(
      [],
      without('$(readlink -f /usr/bin/redis-server)'),
      1,
      /redis-server[^]*apt-get install redis-server[^]*--redis/,
    );
  });
  test('for an unknown probe', () => refused(['--probes', 'nothing'], [], 1, /nothing/));
  test('for rows of an unknown table', () => refused(['--rows', 'nothing=5'], [], 1, /nothing/));
  test('for an unknown flag, with a suggestion', () =>
    refused(['--interval', '1s', '--lissten', 'x'], [], 2, /--listen/));
  test('for a value that is none', () => refused(['--interval', 'soon'], [], 2, /--interval/));
});

test('help of every verb has two examples', () => {
  for (const verb of [
    'up',
    'top',
    'range',
    'hist',
    'hosts',
    'metrics',
    'ledger',
    'doctor',
    'load',
    'agent',
    'aggregator',
    'query',
  ]) {
    const run = muster([verb, '--help']);
    assert.equal(run.code, 0, `${verb}: ${run.stderr}`);
    const examples =
      run.stdout
        .split(/examples:/i)[1]
        ?.trim()
        .split('\n') ?? [];
    assert.ok(
      examples.filter((line) => line.includes('muster')).length >= 2,
      `${verb} --help shows ${examples.length} examples`,
    );
  }
  assert.match(muster(['--help']).stdout, /top/);
  assert.ok(cli.endsWith('main.js'));
});
