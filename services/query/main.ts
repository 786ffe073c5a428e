/** The query service's process: settings, store, gRPC. Serves from the last checkpoint whoever else is away. */
import process from 'node:process';
import { redisAccess } from '../shared/adapters/credential-files.ts';
import { createLog } from '../shared/adapters/pino-log.ts';
import { createRedisCheckpointReader } from '../shared/adapters/redis-checkpoint-reader.ts';
import { createRedisHostMarks } from '../shared/adapters/redis-host-marks.ts';
import { failRole, onceTold } from '../shared/adapters/role-process.ts';
import { roleSettings } from '../shared/adapters/role-settings.ts';
import { MusterError } from '../shared/runtime/errors.ts';
import { roleHelp } from '../shared/runtime/settings.ts';
import { certificatesAlone, parseAccess, refuse } from './access.ts';
import { createAnswer, createWatchSource } from './adapters/answer-loop.ts';
import { createSecurity } from './adapters/grpc-security.ts';
import { serveGrpc } from './adapters/grpc-server.ts';
import { Refresher } from './adapters/refresher.ts';
import { WatchDriver } from './adapters/watch-driver.ts';
import { FleetReader, fleetReaderLimits } from './fleet-reader.ts';
import { gatesOf } from './gate.ts';
import { Query } from './query.ts';
import { isLocal, limitsOf, querySettings } from './settings.ts';
import { statusOf } from './status.ts';
import { Watches } from './watches.ts';

/** How often the store is asked whether it is there. */
const probeMs = 1000;
/** Longest time for calls under way when the service stops. */
const graceMs = 2000;

async function main(): Promise<void> {
  const { values } = roleSettings('query', querySettings);
  if (values.help) {
    process.stdout.write(roleHelp('query', 'answers questions over gRPC from the checkpoints in Redis', querySettings));
    return;
  }
  const open = values.listen.find((address) => !isLocal(address));
  if (open !== undefined && values.tlsCert === undefined && !values.insecureListen) {
    throw new MusterError(
      'config/invalid',
      `listen on ${open}: others could reach it, in clear text and without credentials`,
      {
        remedy: 'give --tls-cert and --tls-key, listen on 127.0.0.1 or unix:PATH, or say --insecure-listen',
      },
    );
  }
  const log = createLog(values.logLevel, { role: 'query' });
  const port = createRedisCheckpointReader({ ...redisAccess(values), name: 'muster-query', log });
  const marks = createRedisHostMarks({ ...redisAccess(values), name: 'muster-query', log });
  const now = (): number => Date.now();
  const security = createSecurity(values, { certificatesAlone, parseAccess, refuse }, log);
  if (open !== undefined && values.access === undefined && values.tlsClientCa === undefined)
    log.warn({ listen: open }, 'no credentials are configured: whoever reaches the address may ask');
  const limits = limitsOf(values);
  const reader = new FleetReader(
    port,
    now,
    { ...fleetReaderLimits, scanBytes: limits.scanBytes, goneAfterMs: limits.goneAfterMs },
    marks,
    () => new Promise((resolve) => setImmediate(resolve)),
  );
  const core = new Query();
  const refresher = new Refresher(core, reader, now);
  const server = await serveGrpc({
    listen: values.listen,
    answer: createAnswer(
      core,
      reader,
      now,
      (problem) => log.error({ alarm: 'accuracy', problem }, 'ALARM: a ledger does not balance'),
      (method, request) => refresher.note(method, request),
    ),
    watch: new WatchDriver(new Watches(limits.watchRows), createWatchSource(core, reader, now), now, limits.deadlineMs),
    gates: gatesOf(limits),
    limits,
    statusOf,
    security,
    onFailure: (method, err) => log.error({ method, err }, 'call failed'),
  });

  let serving: boolean | undefined;
  const probe = async (): Promise<void> => {
    const found = await reader.heads().then(
      () => true,
      () => false,
    );
    if (found !== serving) log.info({ serving: found }, found ? 'serving' : 'not serving: the store is away');
    serving = found;
    server.setServing(found);
  };
  const timer = setInterval(() => void probe(), probeMs);

  onceTold(process.env['MUSTER_STDIN_LIFELINE'] === '1', async (why) => {
    log.info({ why }, 'stopping');
    clearInterval(timer);
    refresher.close();
    server.setServing(false);
    await server.close(graceMs);
    await Promise.all([port.close(), marks.close()]);
    process.exit(0);
  });
  await probe();
  process.stdout.write(
    `${JSON.stringify({ ready: 'query', pid: process.pid, listen: server.addresses, redis: values.redis, serving })}\n`,
  );
}

main().catch(failRole);
