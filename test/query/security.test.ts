/** Who may call what, over real sockets: TLS, client certificates, tokens, roles, and their renewal while it runs. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import * as rules from '../../services/query/access.ts';
import { createSecurity, type SecurityFiles } from '../../services/query/adapters/grpc-security.ts';
import { connectQuery, QueryError, type ClientSecurity } from '../../services/shared/adapters/grpc-client.ts';
import { serviceDefinition } from '../../services/shared/adapters/grpc-schema.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { createAuthority, type Authority } from './authority.ts';
import { serve, type Rig } from './rig.ts';

const folder = mkdtempSync(join(tmpdir(), 'muster-tls-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const log = { debug() {}, info() {}, warn() {}, error() {} } as never;
const at = (name: string): string => join(folder, name);
const sha256 = (token: string): string => createHash('sha256').update(token).digest('hex');
const access = (content: unknown): string => {
  writeFileSync(at('access.json'), JSON.stringify(content));
  return at('access.json');
};

let own: Authority;
let foreign: Authority;
before(() => {
  own = createAuthority(folder, 'own');
  foreign = createAuthority(folder, 'foreign');
  for (const name of ['server', 'reader', 'operator', 'nobody']) own.issue(name);
  own.issue('expired', { expired: true });
  foreign.issue('intruder');
});

const pair = (name: string): { cert: Buffer; key: Buffer } => ({
  cert: readFileSync(at(`${name}.pem`)),
  key: readFileSync(at(`${name}.key`)),
});
const files = (more: Partial<SecurityFiles> = {}): SecurityFiles => ({
  tlsCert: at('server.pem'),
  tlsKey: at('server.key'),
  tlsClientCa: undefined,
  access: undefined,
  ...more,
});
const rigs: Rig[] = [];
after(() => Promise.all(rigs.map((r) => r.close())));
async function start(what: SecurityFiles, listen = ['localhost:0']): Promise<Rig> {
  const rig = await serve(listen, { security: createSecurity(what, rules, log) });
  rigs.push(rig);
  return rig;
}

/** "answered", the code of a refusal, or "unreachable". */
async function ask(rig: Rig, security: ClientSecurity, address = rig.address): Promise<string> {
  const client = connectQuery(address, security);
  try {
    await client.call('ListHosts', {}, { deadlineMs: 20_000 });
    return 'answered';
  } catch (error) {
    if (error instanceof QueryError) return error.status.code;
    assert.ok(error instanceof MusterError && error.code === 'query/unreachable', String(error));
    return 'unreachable';
  } finally {
    client.close();
  }
}
/** The same of the one call that answers with a stream. */
async function watch(rig: Rig, security: ClientSecurity): Promise<string> {
  const client = connectQuery(rig.address, security);
  try {
    for await (const _ of client.watch({}, { deadlineMs: 20_000 })) return 'answered';
    return 'ended';
  } catch (error) {
    return error instanceof QueryError ? error.status.code : String(error);
  } finally {
    client.close();
  }
}
const ca = (): Buffer => readFileSync(own.ca);

test('TLS: a right CA answers; a wrong one, and clear text, do not', async () => {
  const rig = await start(files());
  assert.equal(await ask(rig, { ca: ca() }), 'answered');
  assert.equal(await ask(rig, { ca: readFileSync(foreign.ca) }), 'unreachable');
  assert.equal(await ask(rig, {}), 'unreachable');
});

test('an expired certificate of the server is not believed', async () => {
  const rig = await start(files({ tlsCert: at('expired.pem'), tlsKey: at('expired.key') }));
  assert.equal(await ask(rig, { ca: ca() }), 'unreachable');
});

test('mutual TLS: none, a foreign and an expired certificate are refused; each of the CA reads', async () => {
  const rig = await start(files({ tlsClientCa: own.ca }));
  assert.equal(await ask(rig, { ca: ca(), ...pair('nobody') }), 'answered');
  assert.equal(await ask(rig, { ca: ca() }), 'unreachable');
  assert.equal(await ask(rig, { ca: ca(), ...pair('intruder') }), 'unreachable');
  assert.equal(await ask(rig, { ca: ca(), ...pair('expired') }), 'unreachable');
});

test('named certificates: a role each; one without a name in the file has none', async () => {
  const certificates = [{ name: 'reader', role: 'reader' }];
  const rig = await start(files({ tlsClientCa: own.ca, access: access({ certificates }) }));
  assert.equal(await ask(rig, { ca: ca(), ...pair('reader') }), 'answered');
  assert.equal(await ask(rig, { ca: ca(), ...pair('nobody') }), 'PERMISSION_DENIED');
  own.issue('sly', { uri: 'http://sly/ DNS:reader x' });
  assert.equal(await ask(rig, { ca: ca(), ...pair('sly') }), 'PERMISSION_DENIED');
});

test('tokens: none and unknown ones are refused, health and reflection included', async () => {
  const rig = await start(
    files({ access: access({ tokens: [{ name: 'd', sha256: sha256('secret'), role: 'reader' }] }) }),
  );
  assert.equal(await ask(rig, { ca: ca(), token: 'secret' }), 'answered');
  assert.equal(await ask(rig, { ca: ca(), token: 'guess' }), 'UNAUTHENTICATED');
  assert.equal(await ask(rig, { ca: ca() }), 'UNAUTHENTICATED');
  assert.equal(await watch(rig, { ca: ca(), token: 'secret' }), 'answered');
  assert.equal(await watch(rig, { ca: ca(), token: 'guess' }), 'UNAUTHENTICATED');
  assert.equal(await watch(rig, { ca: ca() }), 'UNAUTHENTICATED');
  assert.equal(await health(rig.address), 16);
  assert.equal(await health(rig.address, 'secret'), 0);
  assert.equal(await reflection(rig.address), 16);
  assert.equal(await reflection(rig.address, 'secret'), 0);
});

test('roles: a reader may not do what is for operators', () => {
  const tokens = [
    { name: 'r', sha256: sha256('r'), role: 'reader' },
    { name: 'o', sha256: sha256('o'), role: 'operator' },
  ];
  const parsed = rules.parseAccess('f', JSON.stringify({ tokens }));
  const path = '/muster.v1.FleetService/ForgetHost';
  const as = (token: string | undefined) =>
    rules.refuse(parsed, path, { tokenSha256: token && sha256(token), certificateNames: undefined })?.code;
  assert.equal(as('r'), 'PERMISSION_DENIED');
  assert.equal(as('o'), undefined);
  assert.equal(as(undefined), 'UNAUTHENTICATED');
  // A known certificate does not make up for a token that is wrong.
  const both = { tokenSha256: sha256('x'), certificateNames: ['any'] };
  assert.equal(rules.refuse(rules.certificatesAlone, path, both)?.code, 'UNAUTHENTICATED');
});

test('a token that is struck out ends at once; a broken file closes and opens nothing', async () => {
  const token = (name: string) => ({ name, sha256: sha256(name), role: 'reader' });
  const path = access({ tokens: [token('first'), token('second')] });
  const rig = await start(files({ access: path }));
  assert.equal(await ask(rig, { ca: ca(), token: 'first' }), 'answered');
  // Streams under way: of the token that goes, and of the one that stays.
  const [goes, stays] = ['first', 'second'].map((name) => connectQuery(rig.address, { ca: ca(), token: name }));
  const stop = new AbortController();
  const streams = [goes!, stays!].map((client) => client.watch({}, { signal: stop.signal })[Symbol.asyncIterator]());
  for (const stream of streams) assert.equal((await stream.next()).done, false);
  access({ tokens: [token('second')] });
  const ended = (async () => {
    for (;;) if ((await streams[0]!.next()).done) return 'done';
  })();
  await assert.rejects(ended, (error: QueryError) => error.status.code === 'UNAUTHENTICATED');
  assert.equal(rig.watch.streams, 1);
  stop.abort();
  goes!.close();
  stays!.close();
  await until(async () => (await ask(rig, { ca: ca(), token: 'first' })) === 'UNAUTHENTICATED');
  writeFileSync(path, '{ "tokens": [');
  await sleep(2500);
  assert.equal(await ask(rig, { ca: ca(), token: 'second' }), 'answered');
  assert.equal(await ask(rig, { ca: ca(), token: 'first' }), 'UNAUTHENTICATED');
});

test('a renewed certificate is shown to new connections; a key that does not fit changes nothing', async () => {
  own.issue('renewed');
  const what = files({ tlsCert: at('renewed.pem'), tlsKey: at('renewed.key') });
  const rig = await start(what);
  const first = await serial(rig.address);
  own.issue('other');
  writeFileSync(at('renewed.key'), readFileSync(at('other.key')));
  await sleep(2500);
  assert.equal(await serial(rig.address), first);
  own.issue('renewed');
  await until(async () => (await serial(rig.address)) !== first);
  assert.equal(await ask(rig, { ca: ca() }), 'answered');
});

test('a Unix socket needs no credentials, and is for owner and group alone', async () => {
  const path = at('query.sock');
  const what = files({ access: access({ tokens: [{ name: 'a', sha256: sha256('a'), role: 'reader' }] }) });
  const rig = await start(what, ['localhost:0', `unix:${path}`]);
  assert.equal(await ask(rig, { ca: ca() }), 'UNAUTHENTICATED');
  assert.equal(await ask(rig, {}, `unix:${path}`), 'answered');
  assert.equal(statSync(path).mode & 0o777, 0o660);
});

test('files that cannot be used are refused at the start, with the reason', () => {
  const refuses = (what: Partial<SecurityFiles>, message: RegExp): void =>
    assert.throws(
      () => createSecurity({ ...files(), ...what }, rules, log),
      (error: MusterError) => error.code === 'config/invalid' && message.test(error.threeLines),
    );
  refuses({ tlsKey: undefined }, /go together/);
  refuses({ tlsCert: undefined, tlsKey: undefined, tlsClientCa: own.ca }, /without TLS/);
  refuses({ tlsKey: at('reader.key') }, /not a certificate, its key/);
  refuses({ tlsCert: at('absent.pem') }, /absent\.pem/);
  refuses({ access: access({ tokens: [{ name: 'a', sha256: 'abc', role: 'reader' }] }) }, /tokens\.0\.sha256/);
  refuses({ access: access({ token: [] }) }, /token/);
  refuses({ access: access({ tokens: [{ name: 'a', sha256: sha256('a'), role: 'root' }] }) }, /role/);
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    assert.ok(tries < 200, 'it did not come to pass within 20 s');
    await sleep(100);
  }
}

/** Serial number of the certificate that the server shows. */
const serial = (address: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const [host, port] = address.split(':') as [string, string];
    const socket = connectTls({ host, port: Number(port), ca: ca(), ALPNProtocols: ['h2'] }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });

const bearer = (token: string | undefined): Metadata => {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
};

/** gRPC code of a health check. */
function health(address: string, token?: string): Promise<number> {
  const client = new Client(address, credentials.createSsl(ca()));
  const check = serviceDefinition('grpc.health.v1.Health')['Check'] as MethodDefinition<object, object>;
  return new Promise((resolve) =>
    client.makeUnaryRequest(
      check.path,
      check.requestSerialize,
      check.responseDeserialize,
      {},
      bearer(token),
      (error) => {
        client.close();
        resolve(error?.code ?? 0);
      },
    ),
  );
}

/** gRPC code with which the list of services by reflection ends. */
function reflection(address: string, token?: string): Promise<number> {
  const client = new Client(address, credentials.createSsl(ca()));
  const info = serviceDefinition('grpc.reflection.v1.ServerReflection')['ServerReflectionInfo'] as MethodDefinition<
    object,
    object
  >;
  return new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(
      info.path,
      info.requestSerialize,
      info.responseDeserialize,
      bearer(token),
    );
    const end = (code: number): void => {
      client.close();
      resolve(code);
    };
    call.on('data', () => call.end());
    call.on('error', (error: { code?: number }) => end(error.code ?? 2));
    call.on('end', () => end(0));
    call.write({ listServices: '' });
  });
}
