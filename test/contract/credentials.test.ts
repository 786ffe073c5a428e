/** The configuration files of deploy/, on real servers: what each user may do, and above all what it may not. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { connect, type NatsConnection } from 'nats';
import { usersFile } from '../../services/cli/verbs/bus-user.ts';
import { createNatsAgentBus } from '../../services/shared/adapters/nats-agent-bus.ts';
import { createNatsBatchSource } from '../../services/shared/adapters/nats-batch-source.ts';
import { createRedisCheckpointReader } from '../../services/shared/adapters/redis-checkpoint-reader.ts';
import { createRedisCheckpointStore } from '../../services/shared/adapters/redis-checkpoint-store.ts';
import { createRedisHostMarks } from '../../services/shared/adapters/redis-host-marks.ts';
import { CheckpointHead } from '../../services/shared/contract/checkpoint.ts';
import { batchSubject, partitionOf, resyncSubject } from '../../services/shared/contract/subjects.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { missing, pause, startConfigured, until } from './servers.ts';

const deploy = join(import.meta.dirname, '../../deploy');
const folder = mkdtempSync(join(tmpdir(), 'muster-deploy-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('users of the bus', { skip: missing('nats-server') }, async (t) => {
  writeFileSync(
    join(folder, 'users.conf'),
    usersFile(['web-1', 'db.2'], true, () => 'p'),
  );
  const server = await startConfigured((port, data) => {
    const text = readFileSync(join(deploy, 'nats/nats-server.conf'), 'utf8');
    writeFileSync(join(folder, 'nats-server.conf'), text.replace('/var/lib/nats', data));
    return ['nats-server', '-c', join(folder, 'nats-server.conf'), '-a', '127.0.0.1', '-p', String(port)];
  });
  const as = (user: string, password = 'p') => ({
    address: server.address,
    user,
    password,
    name: user,
    log: silentLog,
  });
  t.after(() => server.stop());

  await t.test('the aggregator makes the stream and consumes; each agent publishes and is told', async () => {
    const source = createNatsBatchSource({ ...as('muster-aggregator'), inbox: 'muster-aggregator' });
    await source.ready;
    await source.streamIdentity();
    const got: string[] = [];
    for (const host of ['web-1', 'db.2'])
      await source.consume(partitionOf(host), (m) => (got.push(m.subject), m.ack()));
    const web = createNatsAgentBus({ ...as('agent-web-1'), inbox: 'web-1' });
    const db = createNatsAgentBus({ ...as('agent-db=2E2'), inbox: 'db=2E2' });
    await Promise.all([web.ready, db.ready]);
    let told = 0;
    web.subscribe(resyncSubject('web-1'), () => told++);
    await web.publish(batchSubject('web-1'), 'id-1', new Uint8Array([1]));
    await db.publish(batchSubject('db.2'), 'id-2', new Uint8Array([2]));
    await until(() => got.length === 2);
    assert.deepEqual(got.sort(), [batchSubject('db.2'), batchSubject('web-1')].sort());
    await until(() => (source.tell(resyncSubject('web-1'), new Uint8Array([0])), told > 0));
    await until(async () => (await source.unacknowledged()) === 0);
    await assert.rejects(web.publish(batchSubject('db.2'), 'id-3', new Uint8Array([3])), /publish|refused|allowed/);
    await pause(100);
    assert.equal(got.length, 2, 'a batch in the name of another host came through');
    await Promise.all([web.close(), db.close(), source.close()]);
  });

  await t.test('an agent hears no other host, no batch, and does not reach the stream', async () => {
    const errors: string[] = [];
    const web = await connect({ servers: server.address, user: 'agent-web-1', pass: 'p', inboxPrefix: '_INBOX.web-1' });
    void listen(web, errors);
    for (const subject of [resyncSubject('db.2'), 'muster.v1.>', '_INBOX.>', '_INBOX.muster-aggregator.>', '$JS.>'])
      web.subscribe(subject, { callback: () => undefined });
    for (const subject of ['$JS.API.STREAM.PURGE.MUSTER', '$JS.API.STREAM.DELETE.MUSTER', resyncSubject('web-1')])
      web.publish(subject);
    await web.flush();
    await until(() => errors.length >= 8);
    await web.close();
    const aggregator = createNatsBatchSource({ ...as('muster-aggregator'), inbox: 'muster-aggregator' });
    await aggregator.ready;
    await aggregator.streamIdentity();
    await aggregator.close();
  });

  await t.test('nobody, and a wrong password, are refused', async () => {
    await assert.rejects(connect({ servers: server.address, reconnect: false }), /Authorization/i);
    const wrong = createNatsAgentBus(as('agent-web-1', 'guess'));
    await assert.rejects(wrong.ready, { code: 'bus/refused' });
    await wrong.close();
  });
});

async function listen(connection: NatsConnection, errors: string[]): Promise<void> {
  for await (const status of connection.status()) if (status.type === 'error') errors.push(String(status.data));
}

test('users of the store', { skip: missing('redis-server') }, async (t) => {
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  const acl = readFileSync(join(deploy, 'redis/users.acl'), 'utf8');
  writeFileSync(
    join(folder, 'users.acl'),
    acl.replace('AGGREGATOR_SHA256', sha256('a')).replace('QUERY_SHA256', sha256('q')),
  );
  const server = await startConfigured((port, data) => [
    ...['redis-server', join(deploy, 'redis/redis.conf'), '--port', String(port), '--dir', data],
    ...['--aclfile', join(folder, 'users.acl')],
  ]);
  const as = (username: string, password: string) => ({
    address: server.address,
    username,
    password,
    name: username,
    log: silentLog,
  });
  t.after(() => server.stop());

  const head = CheckpointHead.encode({
    formatVersion: 1,
    version: 1n,
    commitId: 'c',
    streamIdentity: 's',
    streamSequence: 0n,
    committedWallMs: 0n,
  }).finish();
  const request = {
    partition: 3,
    expected: undefined,
    next: { version: 1n, commitId: 'c', head },
    put: new Map([['host/a', new Uint8Array([1])]]),
    drop: [],
  };

  await t.test('the aggregator commits and loads, the query service reads', async () => {
    const store = createRedisCheckpointStore(as('muster-aggregator', 'a'));
    await store.verify();
    assert.deepEqual(await store.commit(request), { kind: 'committed' });
    assert.equal((await store.load(3))?.blobs.size, 1);
    const reader = createRedisCheckpointReader(as('muster-query', 'q'));
    await until(async () => (await reader.heads([3]).catch(() => undefined))?.size === 1);
    assert.equal((await reader.view(3))?.names.size, 1);
    assert.equal((await reader.blobs(3, 1n, ['host/a'])).length, 1);
    await Promise.all([store.close(), reader.close()]);
  });

  await t.test('the query service marks hosts as forgotten, and takes marks away', async () => {
    const marks = createRedisHostMarks(as('muster-query', 'q'));
    t.after(() => marks.close());
    await until(() =>
      marks.forget('a', 5).then(
        () => true,
        () => false,
      ),
    );
    await marks.forget('b', 7);
    await marks.unmark(['a', 'never']);
    await marks.unmark([]);
    assert.deepEqual([...(await marks.forgotten())], [['b', 7]]);
  });

  await t.test('the reader changes nothing, nobody flushes, and other keys are out of reach', async () => {
    const client = (username: string, password: string): Redis =>
      new Redis({ host: '127.0.0.1', port: server.port, username, password, retryStrategy: () => null });
    const reader = client('muster-query', 'q');
    const writer = client('muster-aggregator', 'a');
    const refuses = (what: Promise<unknown>): Promise<void> => assert.rejects(what, /NOPERM/);
    await refuses(reader.flushall());
    await refuses(reader.set('muster:x', '1'));
    await refuses(reader.eval('return 1', 0));
    await refuses(reader.del('muster:{p3}:head'));
    await refuses(reader.hdel('muster:{p3}:blobs', 'host/a'));
    await refuses(reader.get('other'));
    await refuses(reader.config('GET', '*'));
    await refuses(writer.flushall());
    await refuses(writer.set('other', '1'));
    await refuses(writer.shutdown());
    reader.disconnect();
    writer.disconnect();
    const nobody = new Redis({ host: '127.0.0.1', port: server.port, retryStrategy: () => null });
    nobody.on('error', () => undefined);
    await assert.rejects(nobody.get('muster:x'), /NOAUTH|closed/);
    nobody.disconnect();
    const wrong = createRedisCheckpointStore({ ...as('muster-aggregator', 'guess'), answerMs: 1000 });
    await assert.rejects(wrong.verify(), { code: 'store/refused' });
    await wrong.close();
  });
});
