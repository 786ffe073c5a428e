import { test } from 'node:test';
import assert from 'node:assert/strict';
import { connect, DiscardPolicy, RetentionPolicy, StorageType } from 'nats';
import { createNatsAgentBus } from '../../services/shared/adapters/nats-agent-bus.ts';
import { batchSubject, resyncSubject, streamName, streamSubjects } from '../../services/shared/contract/subjects.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { requireOrSkip } from '../require.ts';
import { agentBusContract } from './agent-bus.ts';
import { NatsServer, natsServerPresent } from './nats-server.ts';
import { until } from './servers.ts';

const present = natsServerPresent();
const options = (server: NatsServer) => ({ address: server.address, name: 'test', log: silentLog, firstWaitMs: 20 });

agentBusContract('nats-server', async (t) => {
  if (!requireOrSkip(t, 'nats-server', present)) return undefined;
  const server = await NatsServer.start();
  const bus = createNatsAgentBus(options(server));
  await bus.ready;
  const admin = await connect({
    servers: server.address,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 20,
    waitOnFirstConnect: true,
  });
  return {
    bus,
    async createStream(bytesMax = 16 << 20) {
      const manager = await admin.jetstreamManager();
      await manager.streams.add({
        name: streamName,
        subjects: [streamSubjects],
        storage: StorageType.File,
        retention: RetentionPolicy.Workqueue,
        discard: DiscardPolicy.New,
        max_bytes: bytesMax,
      });
    },
    async stored() {
      const manager = await admin.jetstreamManager();
      const { state } = await manager.streams.info(streamName);
      const all: Uint8Array[] = [];
      for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq++)
        all.push((await manager.streams.getMessage(streamName, { seq })).data);
      return all;
    },
    async tell(subject, payload) {
      admin.publish(subject, payload);
      // It may itself be on its way back; who waits for a message asks again.
      await admin.flush().catch(() => undefined);
    },
    down: () => server.kill(),
    up: () => server.start(),
    async close() {
      await bus.close();
      await admin.close();
      await server.stop();
    },
  };
});

const codeOf = async (attempt: Promise<unknown>): Promise<string> => {
  try {
    await attempt;
    return 'ok';
  } catch (error) {
    return error instanceof MusterError ? error.code : String(error);
  }
};

test('a server without JetStream is told from one that is away', async (t) => {
  if (!requireOrSkip(t, 'nats-server', present)) return;
  const server = await NatsServer.start({ jetstream: false });
  const bus = createNatsAgentBus(options(server));
  assert.equal(await codeOf(bus.ready), 'bus/no-jetstream');
  assert.equal(await codeOf(bus.publish(batchSubject('a'), '1', new Uint8Array(1))), 'bus/no-jetstream');
  await bus.close();
  await server.stop();
});

test('refused credentials are told from a server that is away', async (t) => {
  if (!requireOrSkip(t, 'nats-server', present)) return;
  const server = await NatsServer.start({ extra: 'authorization { user: agent, password: right }' });
  const bus = createNatsAgentBus({ ...options(server), user: 'agent', password: 'wrong' });
  assert.equal(await codeOf(bus.ready), 'bus/refused');
  await bus.close();
  const right = createNatsAgentBus({ ...options(server), user: 'agent', password: 'right' });
  assert.equal(await codeOf(right.ready), 'ok');
  await right.close();
  await server.stop();
});

test('a bus that is started before its server connects once that is there', async (t) => {
  if (!requireOrSkip(t, 'nats-server', present)) return;
  const server = await NatsServer.start();
  await server.kill();
  const bus = createNatsAgentBus(options(server));
  const got: Uint8Array[] = [];
  bus.subscribe(resyncSubject('a'), (payload) => got.push(payload));
  assert.equal(await codeOf(bus.publish(batchSubject('a'), '1', new Uint8Array(1))), 'bus/unreachable');
  await server.start();
  assert.equal(await codeOf(bus.ready), 'ok');
  assert.equal(
    await codeOf(bus.publish(batchSubject('a'), '1', new Uint8Array(1))),
    'bus/publish',
    'there is no stream yet',
  );
  const admin = await connect({ servers: server.address });
  for (let i = 0; i < 200 && got.length === 0; i++) {
    admin.publish(resyncSubject('a'), 'x');
    await admin.flush();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(got.length > 0, 'a subscription made before the connection holds');
  await admin.close();
  await bus.close();
  await server.stop();
});

test('a clock set back by an hour keeps no one away', async (t) => {
  if (!requireOrSkip(t, 'nats-server', present)) return;
  const server = await NatsServer.start();
  const real = Date.now;
  const ahead = t.mock.method(Date, 'now', () => real() + 3_600_000);
  const bus = createNatsAgentBus(options(server));
  await bus.ready;
  ahead.mock.restore();
  await server.kill();
  await until(() => bus.isUp?.() === false, 10_000);
  await server.start();
  await until(() => bus.isUp?.() === true, 10_000);
  await bus.close();
  await server.stop();
});
