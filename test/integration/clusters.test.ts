/**
 * A Redis Cluster of three masters and three replicas and a nats-server cluster of three, one node killed at a time
 * under a synthetic load whose totals are known: service comes back, and the totals come out the same.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { connectQuery, type QueryClient } from '../../services/shared/adapters/grpc-client.ts';
import { partitionKeys } from '../../services/shared/adapters/redis-scripts.ts';
import { partitionOf } from '../../services/shared/contract/subjects.ts';
import { startRole, totalsOf, type Role } from '../bench/fleet/rig.ts';
import { freePort, missing, startConfigured, startRedis, type TestServer, until } from '../contract/servers.ts';

const skip = missing('nats-server') || missing('redis-server');
/** Promised time until service is back after one node has died. */
const backMs = 30_000;

let buses: TestServer[] = [];
let stores: TestServer[] = [];
const roles: Role[] = [];
let client: QueryClient;

const role = async (service: string, ...words: string[]): Promise<Role> => {
  const started = await startRole(service, [...words, '--log-level', 'warn']);
  roles.push(started);
  return started;
};
const list = (servers: readonly TestServer[]): string => servers.map((s) => s.address).join(',');

before(async () => {
  if (skip) return;
  [buses, stores] = await Promise.all([startBuses(), startStores()]);
});
after(async () => {
  client?.close();
  await Promise.all(roles.map((r) => r.kill()));
  await Promise.all([...buses, ...stores].map((s) => s.stop()));
});

test('one node at a time: back within 30 s, totals exact', { skip, timeout: 240_000 }, async () => {
  const [nats, redis] = [list(buses), list(stores)];
  await role('aggregator', '--nats', nats, '--redis', redis, '--bus-replicas', '3');
  const query = await role('query', '--redis', redis, '--listen', '127.0.0.1:0');
  client = connectQuery((query.ready['listen'] as string[])[0]!);
  const synth = await role('synth', '--nats', nats, '--hosts', '12', '--rows', '50', '--interval', '250ms');
  const total = async (): Promise<bigint> =>
    BigInt((await client.call('Query', { metric: 'synthetic', range: 'all' })).total);
  const rises = async (): Promise<void> => {
    const since = await total().catch(() => 0n);
    await until(async () => (await total().catch(() => 0n)) > since && (await fresh()), backMs).catch(
      async (late: unknown) => {
        const { hosts } = await client.call('ListHosts', {});
        const states = hosts.map((h) => `${h.host} ${h.state}`).join(', ');
        const logs = roles.map((r) => r.said()).join('\n');
        throw new Error(`${String(late)}: total ${since} → ${await total()}; ${states}\n${logs}`);
      },
    );
  };
  /** Every host's newest read is a moment old: all partitions are served again. */
  const fresh = async (): Promise<boolean> => {
    const { hosts } = await client.call('ListHosts', {});
    return hosts.length === 12 && hosts.every((h) => h.state === 'reporting');
  };
  await rises();
  const victim = await masterOf('synth-00000');
  await victim.kill();
  await rises();
  await victim.restart();
  await until(() => healthy(stores[0]!), backMs);
  for (const bus of [await leader(), buses.find((b) => b !== buses[0])!]) {
    await bus.kill();
    await rises();
    await bus.restart();
    await until(() => answersAll(buses), backMs);
  }
  await rises();
  synth.child.kill('SIGTERM');
  const known = await totalsOf(synth);
  await until(async () => String(await total().catch(() => 0n)) === known.total, backMs).catch(() => undefined);
  assert.equal(String(await total()), known.total);
});

test('more copies than the bus has servers are refused, with the remedy', { skip, timeout: 60_000 }, async () => {
  const single = await startConfigured((port, data) => [
    'nats-server',
    '-js',
    '-sd',
    data,
    '-a',
    '127.0.0.1',
    '-p',
    String(port),
  ]);
  const store = await startRedis();
  try {
    const failed = await startRole('aggregator', [
      '--nats',
      single.address,
      '--redis',
      store.address,
      '--bus-replicas',
      '3',
    ]).then(
      async (started) => (await started.kill(), 'ready'),
      (error: unknown) => String(error),
    );
    assert.match(failed, /cannot hold it so[\s\S]*lower --bus-replicas/);
  } finally {
    await Promise.all([single.stop(), store.stop()]);
  }
});

async function startBuses(): Promise<TestServer[]> {
  const routes = await Promise.all([1, 2, 3].map(() => freePort()));
  return Promise.all(
    routes.map((own, i) =>
      startConfigured((port, data) => {
        const conf = join(data, 'nats.conf');
        writeFileSync(
          conf,
          `server_name: n${i}
listen: "127.0.0.1:${port}"
jetstream { store_dir: "${data}/js" }
cluster { name: c, listen: "127.0.0.1:${own}", routes: [${routes.map((r) => `"nats://127.0.0.1:${r}"`).join(', ')}] }
`,
        );
        return ['nats-server', '-c', conf];
      }),
    ),
  );
}

async function startStores(): Promise<TestServer[]> {
  const cluster = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--appendfsync', 'always'];
  const nodes: TestServer[] = [];
  // The bus of the cluster is a port of its own for each node.
  for (let i = 0; i < 6; i++) nodes.push(await startRedis(...cluster, '--cluster-port', String(await freePort())));
  const words = ['--cluster', 'create', ...nodes.map((n) => n.address), '--cluster-replicas', '1', '--cluster-yes'];
  execFileSync('redis-cli', words, { stdio: 'pipe', timeout: 60_000 });
  await until(() => healthy(nodes[0]!), 30_000);
  return nodes;
}

const ask = async <T>(server: TestServer, run: (redis: Redis) => Promise<T>): Promise<T> => {
  const redis = new Redis({ host: '127.0.0.1', port: server.port, retryStrategy: () => null, lazyConnect: true });
  redis.on('error', () => undefined);
  try {
    return await run(redis);
  } finally {
    redis.disconnect();
  }
};

/** All six know each other and all slots are served. */
const healthy = (node: TestServer): Promise<boolean> =>
  ask(node, async (redis) => {
    const info = String(await redis.cluster('INFO'));
    const lines = String(await redis.cluster('NODES'))
      .trim()
      .split('\n');
    return (
      info.includes('cluster_state:ok') &&
      lines.length === 6 &&
      lines.every((l) => /connected/.test(l) && !/fail/.test(l))
    );
  }).catch(() => false);

/** The node that takes the writes of a host's partition. */
async function masterOf(host: string): Promise<TestServer> {
  // A replica answers MOVED.
  for (const node of stores)
    if (await ask(node, (redis) => redis.exists(partitionKeys(partitionOf(host)).head)).catch(() => 0)) return node;
  throw new Error('no node has the partition');
}

/** The server that leads the stream: the others hear of a message from it. */
async function leader(): Promise<TestServer> {
  const { connect } = await import('nats');
  const connection = await connect({ servers: list(buses).split(',') });
  try {
    const manager = await connection.jetstreamManager();
    const { cluster } = await manager.streams.info('MUSTER');
    return buses[Number(cluster!.leader!.slice(1))]!;
  } finally {
    await connection.close();
  }
}

async function answersAll(servers: readonly TestServer[]): Promise<boolean> {
  const { connect } = await import('nats');
  for (const { address } of servers) {
    const connection = await connect({ servers: address, reconnect: false, timeout: 2000 }).catch(() => undefined);
    if (!connection) return false;
    const info = await connection
      .jetstreamManager()
      .then((m) => m.streams.info('MUSTER'))
      .catch(() => undefined);
    await connection.close();
    if (!info || info.cluster?.replicas?.some((r) => !r.current || r.offline)) return false;
  }
  return true;
}
