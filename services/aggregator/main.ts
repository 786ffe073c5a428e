/** The aggregator's process: its share of the partitions, one connection to the bus, one to the store. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import process from 'node:process';
import { natsAccess, redisAccess } from '../shared/adapters/credential-files.ts';
import { createNatsBatchSource } from '../shared/adapters/nats-batch-source.ts';
import { createLog } from '../shared/adapters/pino-log.ts';
import { createRedisCheckpointStore } from '../shared/adapters/redis-checkpoint-store.ts';
import { createRedisPartitionLeases } from '../shared/adapters/redis-partition-leases.ts';
import { seedSeriesIndex } from '../shared/algebra/series-index.ts';
import { failRole, onceTold } from '../shared/adapters/role-process.ts';
import { roleSettings } from '../shared/adapters/role-settings.ts';
import { MusterError } from '../shared/runtime/errors.ts';
import { roleHelp } from '../shared/runtime/settings.ts';
import { CommitGate } from './adapters/commit-gate.ts';
import { Outage } from './adapters/outage.ts';
import { type Core, PartitionDriver } from './adapters/partition-driver.ts';
import { PartitionSet } from './adapters/partition-set.ts';
import { aggregatorSettings } from './config.ts';
import { seriesLimits } from './merge/limits.ts';
import { createPartition, isDirty, isWanted, step } from './partition.ts';

/** Servers that are not there at the start are waited for so long. */
const patienceMs = 10_000;
/** Bounds of stopping: emptying the stream, and the last checkpoints. */
const drainMs = 5_000;
const stopMs = 5_000;
const tidyEveryMs = 30_000;
const commitsAtOnce = 8;
/** A member that is silent for so long is replaced. */
const leaseMs = 5_000;
const renewEveryMs = 1_000;
/** Drivers ever made: commit ids differ between two lives of a partition in one process. */
let lives = 0;

async function main(): Promise<void> {
  const { values } = roleSettings('aggregator', aggregatorSettings);
  if (values.help) {
    process.stdout.write(
      roleHelp('aggregator', 'merges batches from the bus into checkpoints in the store', aggregatorSettings),
    );
    return;
  }
  const log = createLog(values.logLevel, { role: 'aggregator' });
  seedSeriesIndex(randomBytes(4).readUInt32LE());
  const nonce = randomBytes(8).toString('hex');
  const store = createRedisCheckpointStore({ ...redisAccess(values), name: 'muster-aggregator', log });
  const source = createNatsBatchSource({
    ...natsAccess(values),
    replicas: values.busReplicas,
    tags: values.busTags,
    name: 'muster-aggregator',
    inbox: 'muster-aggregator',
    log,
  });

  await within(
    patienceMs,
    source.ready,
    () =>
      new MusterError(
        'bus/unreachable',
        `connect to nats-server at ${values.nats}: no answer within ${patienceMs / 1000} s`,
      ),
  );
  await untilWorks(patienceMs, () => store.verify());

  const limits = seriesLimits(values.seriesPerHost, values.series);
  const gate = new CommitGate(commitsAtOnce);
  const outage = new Outage(log);
  const leases = createRedisPartitionLeases({
    ...redisAccess(values),
    name: 'muster-aggregator-leases',
    log,
    member: values.name ?? hostname(),
    incarnation: nonce,
    lastsMs: leaseMs,
  });
  const createDriver = (partition: number): PartitionDriver => {
    const born = ++lives;
    const createCore = (life: number): Core => {
      const core = createPartition({ partition, nonce: `${nonce}.${partition}.${born}.${life}`, limits });
      return { step: (event) => step(core, event), isDirty: () => isDirty(core) };
    };
    const lost = (): void => partitions.lose(partition);
    return new PartitionDriver({
      partition,
      createCore,
      isWanted,
      store,
      source,
      gate,
      outage,
      log,
      lost,
      halt: failRole,
    });
  };
  const partitions = new PartitionSet({ leases, renewEveryMs, createDriver, log, fail: failRole });

  let stopping = false;
  onceTold(process.env['MUSTER_STDIN_LIFELINE'] === '1', async (why) => {
    stopping = true;
    log.info({ why }, 'stopping: the stream is emptied, then the last checkpoints');
    partitions.drain();
    // Where there are others, what is left is theirs.
    const left = partitions.members > 1 ? 0 : await drained(source, drainMs);
    if (left > 0) log.warn({ messages: left }, 'the stream keeps what was not merged');
    await partitions.stop(stopMs);
    await source.close();
    await Promise.all([store.close(), leases.close()]);
    process.exit(0);
  });

  await partitions.start();
  setInterval(() => partitions.tidy(), tidyEveryMs).unref();
  if (!stopping)
    process.stdout.write(
      `${JSON.stringify({ ready: 'aggregator', pid: process.pid, partitions: partitions.size, stream: await source.streamIdentity() })}\n`,
    );
}

/** Messages left after at most `ms` of waiting for the stream to become empty. */
async function drained(source: { unacknowledged(): Promise<number> }, ms: number): Promise<number> {
  const end = performance.now() + ms;
  for (;;) {
    const left = await source.unacknowledged().catch(() => 0);
    if (left === 0 || performance.now() > end) return left;
    await pause(50);
  }
}

async function within<T>(ms: number, act: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(late()), ms)));
  try {
    return await Promise.race([act, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Tries again while the error says that it may help. */
async function untilWorks(ms: number, act: () => Promise<void>): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    try {
      return await act();
    } catch (cause) {
      if (!(cause instanceof MusterError) || cause.disposition !== 'retry' || performance.now() > end) throw cause;
      await pause(250);
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

main().catch(failRole);
