/**
 * One measurement of our side: a synthetic fleet through JetStream into durable checkpoints, all values changing.
 * CPU is that of nats-server, redis-server and the aggregators together; totals must come out exact.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { connectQuery } from '../../../services/shared/adapters/grpc-client.ts';
import type { QueryResponse } from '../../../services/shared/contract/query.ts';
import { natsConfig, redisConfig } from '../../../services/cli/up/server-files.ts';
import { freePort, pause } from '../../contract/servers.ts';
import { cpuSeconds, residentBytes, type Role, type Server, startRole, startServer, totalsOf } from './rig.ts';

export interface FleetSize {
  readonly hosts: number;
  readonly rows: number;
  /** Length of the measurement. */
  readonly seconds: number;
}

export interface FleetRun {
  readonly rows: number;
  readonly cpu: { readonly nats: number; readonly redis: number; readonly aggregator: number };
  readonly rowsPerCpuSecond: number;
  /** Aggregator, per (host, series), over what it takes with none. */
  readonly bytesPerSeries: number;
  readonly wireBytesPerRow: number;
  readonly redisBytesPerSeries: number;
  /** From kill -9 to a new process that has merged all there is. */
  readonly recoverySeconds: number;
}

const warmSeconds = 12;
/** How long what is under way may take to become exact. */
const patienceMs = 60_000;

export interface RunningFleet {
  readonly roles: Role[];
  readonly nats: Server;
  readonly redisServer: Server;
  /** HOST:PORT of the store. */
  readonly redis: string;
  aggregate(): Promise<Role>;
  /** All values change each second. */
  synth(hosts: number, rows: number): Promise<Role>;
  end(): Promise<void>;
}

/** Servers as `muster up` configures them; roles as they are asked for. */
export async function startFleet(): Promise<RunningFleet> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'));
  const roles: Role[] = [];
  const nats = await startServer('nats-server', await freePort(), folder, natsConfig, (file) => ['-c', file]);
  const redisServer = await startServer('redis-server', await freePort(), folder, redisConfig, (file) => [file]);
  const bus = `127.0.0.1:${nats.port}`;
  const redis = `127.0.0.1:${redisServer.port}`;
  const start = async (service: string, words: string[]): Promise<Role> => {
    roles.push(await startRole(service, [...words, '--nats', bus, '--log-level', 'warn'], true));
    return roles.at(-1)!;
  };
  return {
    roles,
    nats,
    redisServer,
    redis,
    aggregate: () => start('aggregator', ['--redis', redis]),
    synth: (hosts, rows) =>
      start('synth', ['--hosts', String(hosts), '--rows', String(rows), '--values', 'wide', '--interval', '1s']),
    async end() {
      await Promise.all(roles.map((r) => r.kill()));
      await Promise.all([nats.kill(), redisServer.kill()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function measureFleet({ hosts, rows, seconds }: FleetSize): Promise<FleetRun> {
  const fleet = await startFleet();
  const { nats, redisServer } = fleet;
  try {
    let aggregator = await fleet.aggregate();
    await pause(1000);
    const emptyBytes = residentBytes(aggregator.pid);
    const synth = await fleet.synth(hosts, rows);
    await pause(warmSeconds * 1000);
    const before = await sample(synth, nats.pid, redisServer.pid, aggregator.pid);
    await pause(seconds * 1000);
    const after = await sample(synth, nats.pid, redisServer.pid, aggregator.pid);
    const full = residentBytes(aggregator.pid);

    await aggregator.kill();
    const killed = performance.now();
    aggregator = await fleet.aggregate();
    await untilFresh(redisServer.port, Date.now());
    const recoverySeconds = (performance.now() - killed) / 1000;

    synth.child.kill('SIGTERM');
    const known = await totalsOf(synth);
    await checkTotals(fleet.redis, known.total, hosts, fleet.roles);
    const counted = after.rowsSent - before.rowsSent;
    const cpu = {
      nats: after.nats - before.nats,
      redis: after.redis - before.redis,
      aggregator: after.aggregator - before.aggregator,
    };
    return {
      rows: counted,
      cpu,
      rowsPerCpuSecond: counted / (cpu.nats + cpu.redis + cpu.aggregator),
      bytesPerSeries: (full - emptyBytes) / (hosts * rows),
      wireBytesPerRow: known.bytesSent / known.rowsSent,
      redisBytesPerSeries: after.redisBytes / (hosts * rows),
      recoverySeconds,
    };
  } finally {
    await fleet.end();
  }
}

async function sample(
  synth: Role,
  nats: number,
  redis: number,
  aggregator: number,
): Promise<{ rowsSent: number; nats: number; redis: number; aggregator: number; redisBytes: number }> {
  const had = synth.lines.length;
  synth.child.kill('SIGUSR1');
  while (synth.lines.length === had) await pause(5);
  const { rowsSent } = (JSON.parse(synth.lines.at(-1)!) as { synthetic: { rowsSent: number } }).synthetic;
  return {
    rowsSent,
    nats: cpuSeconds(nats),
    redis: cpuSeconds(redis),
    aggregator: cpuSeconds(aggregator),
    redisBytes: residentBytes(redis),
  };
}

/** Waits until every partition that has a checkpoint has one that was committed after `sinceMs`. */
async function untilFresh(port: number, sinceMs: number): Promise<void> {
  const { decodeHead } = await import('../../../services/shared/contract/checkpoint-codec.ts');
  const client = new Redis({ port, host: '127.0.0.1', lazyConnect: false });
  try {
    for (const end = performance.now() + patienceMs; performance.now() < end;) {
      const heads = await Promise.all(
        Array.from({ length: 64 }, (_, p) => client.hgetBuffer(`muster:{p${p}}:head`, 'head')),
      );
      const known = heads.filter((h) => h !== null);
      if (known.length > 0 && known.every((h) => Number(decodeHead(h).committedWallMs) > sinceMs)) return;
      await pause(20);
    }
    throw new Error('no aggregator took over');
  } finally {
    client.disconnect();
  }
}

async function checkTotals(redis: string, total: string, hosts: number, roles: Role[]): Promise<void> {
  const query = await startRole('query', ['--redis', redis, '--listen', '127.0.0.1:0', '--log-level', 'warn'], true);
  roles.push(query);
  const client = connectQuery((query.ready['listen'] as string[])[0]!, {});
  try {
    let answer: QueryResponse | undefined;
    for (const end = performance.now() + patienceMs; performance.now() < end; await pause(200)) {
      answer = await client
        .call('Query', { metric: 'synthetic', range: 'all', pageSize: 1 }, { deadlineMs: 30_000 })
        .catch(() => undefined);
      if (answer?.total === total && answer.coverage?.hostsMatched === hosts) return;
    }
    throw new Error(
      `the fleet counted ${total}; the answer is ${answer?.total} of ${answer?.coverage?.hostsMatched} hosts`,
    );
  } finally {
    client.close();
  }
}
