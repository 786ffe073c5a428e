/** A synthetic fleet through the real bus, aggregator, store and query service: every event, whatever the hosts do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { tellFlag } from '../../services/shared/adapters/role-settings.ts';
import { connectQuery } from '../../services/shared/adapters/grpc-client.ts';
import type { QueryResponse } from '../../services/shared/contract/query.ts';
import { startRole, totalsOf, type Role } from '../bench/fleet/rig.ts';
import { missing, startNats, startRedis, until } from '../contract/servers.ts';

const skip = missing('nats-server') || missing('redis-server');

test('churn, restarts and late hosts change no total', { skip, timeout: 120_000 }, async () => {
  const nats = await startNats();
  const redis = await startRedis();
  const roles: Role[] = [];
  const role = async (service: string, ...words: string[]): Promise<Role> => {
    const started = await startRole(service, [...words, '--log-level', 'warn']);
    roles.push(started);
    return started;
  };
  try {
    await role('aggregator', '--nats', nats.address, '--redis', redis.address);
    const query = await role('query', '--redis', redis.address, '--listen', '127.0.0.1:0');
    const load = ['--nats', nats.address, '--hosts', '20', '--rows', '120', '--interval', '100ms', '--reads', '70'];
    const synth = await role('synth', ...load, '--values', 'wide', '--churn', '7', '--restarts', '50', '--late', '30');
    synth.child.kill('SIGUSR1');
    await until(() => synth.lines.some((l) => l.includes('"final":false')), 20_000);
    const known = await totalsOf(synth);
    assert.equal(await synth.ended, 0);
    assert.ok(known.restarts > 10 && known.sealed > 10, JSON.stringify({ ...known, services: {} }));

    const client = connectQuery((query.ready['listen'] as string[])[0]!);
    const ask = (): Promise<QueryResponse> =>
      client.call('Query', { metric: 'synthetic', groupBy: ['service'], range: 'all', pageSize: 1000 });
    let answer: QueryResponse | undefined;
    await until(async () => {
      answer = await ask().catch(() => undefined);
      return answer?.total === known.total;
    }, 20_000).catch(() => undefined);
    assert.equal(answer?.total, known.total);
    const rows = answer.rows.map((row) => [row.labels['service'], row.value]);
    assert.deepEqual(Object.fromEntries(rows), known.services);
    assert.equal(answer.coverage?.synthetic, true);
    assert.equal(answer.coverage?.hostsMatched, 20);
    client.close();
  } finally {
    await Promise.all(roles.map((r) => r.kill()));
    await redis.stop();
    await nats.stop();
  }
});

test('it hears its section of the configuration files; a flag is stronger', () => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-synth-'));
  const file = join(folder, 'config.yaml');
  const main = join(import.meta.dirname, '../../services/synth/main.ts');
  const tell = (...words: string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', main, ...words, tellFlag], {
      encoding: 'utf8',
      env: { ...process.env, MUSTER_CONFIG_DIR: folder },
    });
  writeFileSync(file, 'synth:\n  rows: 7\n  hosts: 8\n  nats-user: aggregator\n');
  const told = JSON.parse(tell('--hosts', '9').stdout) as { setting: string; value: string; origin: string }[];
  const valueOf = (name: string) => told.find((t) => t.setting === name);
  assert.deepEqual(valueOf('rows'), { setting: 'rows', value: '7', origin: `file ${file}` });
  assert.equal(valueOf('nats-user')?.value, 'aggregator');
  assert.equal(valueOf('hosts')?.value, '9');
  writeFileSync(file, 'synth:\n  rowss: 7\n');
  assert.match(tell().stderr, /unknown setting rowss[^]*did you mean rows\?/);
  rmSync(folder, { recursive: true });
});
