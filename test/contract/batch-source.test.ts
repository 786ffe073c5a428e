/** Port BatchSource: the contract on the fake and on nats-server, and what only a real server can do. */
import assert from 'node:assert/strict';
import test, { after, before, describe } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import { createNatsBatchSource, type NatsBatchSource } from '../../services/shared/adapters/nats-batch-source.ts';
import { parseReply } from '../../services/shared/adapters/nats-stream.ts';
import { batchSubject, partitionOf, streamName } from '../../services/shared/contract/subjects.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { SimStream } from '../simulation/bus.ts';
import { createFakeBatchSource, type Told } from '../simulation/fake-batch-source.ts';
import { batchSourceContract } from './batch-source-suite.ts';
import { missing, startNats, type TestServer, until } from './servers.ts';

const skip = missing('nats-server');

const open = async (address: string): Promise<NatsBatchSource> => {
  const source = createNatsBatchSource({ address, name: 'test', log: silentLog });
  await source.ready;
  return source;
};

batchSourceContract(
  'fake',
  () => {
    const stream = new SimStream();
    const heard: Told[] = [];
    return Promise.resolve({
      heard,
      open: () => Promise.resolve(createFakeBatchSource(stream, heard)),
      publish: (subject, payload) => {
        stream.store(subject, `${Math.random()}`, payload, Date.now() * 1000);
        return Promise.resolve();
      },
      deleteStream: () => Promise.resolve(stream.recreate()),
      end: () => Promise.resolve(),
    });
  },
  false,
);

batchSourceContract(
  'nats',
  async () => {
    const server = await startNats();
    const raw = await connect({ servers: server.address });
    const heard: Told[] = [];
    raw.subscribe('muster.v1.resync.>', {
      callback: (_, m) => void heard.push({ subject: m.subject, payload: m.data }),
    });
    await raw.flush();
    return {
      heard,
      open: () => open(server.address),
      publish: async (subject, payload) => void (await raw.jetstream().publish(subject, payload, { timeout: 1000 })),
      deleteStream: async () => void (await (await raw.jetstreamManager()).streams.delete(streamName)),
      end: async () => {
        await raw.close();
        await server.stop();
      },
    };
  },
  skip,
);

describe('nats: server and consumers that go away', { skip }, () => {
  let server: TestServer;
  let raw: NatsConnection;
  before(async () => {
    server = await startNats();
    raw = await connect({ servers: server.address, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  });
  after(async () => {
    await raw?.close();
    await server?.stop();
  });
  const publish = (host: string, text: string | Uint8Array): Promise<unknown> =>
    raw.jetstream().publish(batchSubject(host), text, { timeout: 1000 });

  test('makes the stream as the protocol needs it', async () => {
    const source = await open(server.address);
    await source.streamIdentity();
    const { config } = await (await raw.jetstreamManager()).streams.info(streamName);
    assert.equal(config.subjects.length, 64);
    await assert.rejects(
      raw.jetstream().publish('muster.v1.batch.64.a', '', { timeout: 1000 }),
      'of no partition: not stored',
    );
    assert.deepEqual(
      {
        retention: config.retention,
        discard: config.discard,
        storage: config.storage,
        bytes: config.max_bytes,
        window: config.duplicate_window,
      },
      { retention: 'workqueue', discard: 'new', storage: 'file', bytes: 1 << 30, window: 120e9 },
    );
    await source.close();
  });

  test('goes on after a kill of the server, and after its consumer is deleted', async () => {
    const source = await open(server.address);
    await source.streamIdentity();
    const got: string[] = [];
    await source.consume(partitionOf('h'), (m) => {
      got.push(new TextDecoder().decode(m.payload));
      m.ack();
    });
    await publish('h', 'one');
    await until(() => got.includes('one'));
    await server.restart();
    await until(
      () =>
        publish('h', 'two').then(
          () => true,
          () => false,
        ),
      10_000,
    );
    await until(() => got.includes('two'), 10_000);
    await (await raw.jetstreamManager()).consumers.delete(streamName, `partition-${partitionOf('h')}`);
    await publish('h', 'three');
    await until(() => got.includes('three'), 10_000);
    await source.close();
  });

  test('a message larger than a pull comes out too', async () => {
    const source = await open(server.address);
    await source.streamIdentity();
    const got: number[] = [];
    await source.consume(partitionOf('large'), (m) => {
      got.push(m.payload.length);
      m.ack();
    });
    for (const bytes of [10, 900_000, 20, 500_000, 500_000, 30]) await publish('large', new Uint8Array(bytes));
    await until(() => got.length === 6, 10_000);
    assert.deepEqual(got, [10, 900_000, 20, 500_000, 500_000, 30]);
    await source.close();
  });

  test('at most a bounded number of messages is out at once', async () => {
    const source = await open(server.address);
    await source.streamIdentity();
    let got = 0;
    const acks: (() => void)[] = [];
    await source.consume(partitionOf('many'), (m) => {
      got++;
      acks.push(() => m.ack());
    });
    await Promise.all(Array.from({ length: 700 }, (_, i) => publish('many', `${i}`)));
    await until(() => got === 512);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(got, 512);
    for (const ack of acks.splice(0)) ack();
    await until(() => got === 700);
    await source.close();
  });

  test("refuses a stream of that name that is not Muster's", async () => {
    const other = await startNats();
    const connection = await connect({ servers: other.address });
    await (await connection.jetstreamManager()).streams.add({ name: streamName, subjects: ['something.>'] });
    const source = await open(other.address);
    await assert.rejects(source.streamIdentity(), (e: unknown) => e instanceof MusterError && e.code === 'bus/unfit');
    await source.close();
    await connection.close();
    await other.stop();
  });
});

test('position and time stand in the reply subject, of both forms', () => {
  const of = { sequence: 42n, storedMs: 1_700_000_000_000 };
  assert.deepEqual(parseReply('$JS.ACK.MUSTER.partition-7.1.42.3.1700000000000123456.0'), of);
  assert.deepEqual(parseReply('$JS.ACK.hub.ACCT.MUSTER.partition-7.1.42.3.1700000000000123456.0.rnd'), of);
  assert.equal(parseReply('_INBOX.x'), undefined);
  assert.equal(parseReply('$JS.ACK.MUSTER.partition-7.1.x.3.17.0'), undefined);
});
