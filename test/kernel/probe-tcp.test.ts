/** tcp_connects, tcp_retransmits and tcp_bytes on the loopback, in known numbers and against /proc/net/snmp. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Generator } from './generator.ts';
import { expectBalanced, labelled, sumOf } from './labelled.ts';
import { loadProbe, ownCgroup, requireBpf } from './probe.ts';

/** A server on the loopback for the length of the test. */
async function listen(t: TestContext, serve: (socket: Socket) => void, host = '127.0.0.1'): Promise<number> {
  const server: Server = createServer(serve);
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const end = (socket: Socket): void => {
  socket.on('error', () => undefined).on('end', () => socket.end());
  socket.resume();
};

/** A counter of this host's TCP, e.g. "RetransSegs". */
function snmp(name: string): bigint {
  const [names, values] = readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter((l) => l.startsWith('Tcp:'));
  return BigInt(values!.split(' ')[names!.split(' ').indexOf(name)]!);
}

test('connections are counted by who opened them, to where, and how it ended', async (t) => {
  if (!requireBpf(t)) return;
  const open = await listen(t, end);
  const refusing = await listen(t, end);
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'tcp_connects', { scope });
  // One that nobody listens on any more: taken and given back.
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  for (const [comm, to, n] of [
    ['opens-tcp', open, 60],
    ['is-refused', port, 40],
  ] as const) {
    const generator = await Generator.act(['--comm', comm, '--cgroup', directory, 'connects', n, to]);
    await generator.run();
    await generator.end();
  }
  const outside = await Generator.act(['--comm', 'outside', 'connects', 5, refusing]);
  await outside.run();
  await outside.end();
  const rows = labelled(probe, 'tcp_connects');
  const peer = '127.0.0.0/24';
  const opened = sumOf(rows, { comm: 'opens-tcp', port: String(open), peer, outcome: '0' });
  assert.equal(opened.count, 60n);
  assert.equal(sumOf(rows, { comm: 'is-refused', port: String(port), peer, outcome: 'ECONNREFUSED' }).count, 40n);
  assert.equal(sumOf(rows, {}).count, 100n, 'nothing else, and nothing from outside the scope');
  t.diagnostic(`${opened.sum / opened.count} ns to open`);
  assert.ok(opened.sum / opened.count > 1000n && opened.sum / opened.count < 50_000_000n);
  expectBalanced(probe);
});

test('accepted connections are counted by own port, IPv6 among them', async (t) => {
  if (!requireBpf(t)) return;
  const four = await listen(t, end);
  const six = await listen(t, end, '::1');
  const probe = loadProbe(t, 'tcp_connects');
  for (let i = 0; i < 10; i++) {
    for (const [host, port] of [
      ['127.0.0.1', four],
      ['::1', six],
    ] as const) {
      const socket = connect(port, host);
      await once(socket, 'connect');
      socket.destroy();
    }
  }
  const accepts = labelled(probe, 'tcp_accepts');
  assert.equal(sumOf(accepts, { port: String(four), peer: '127.0.0.0/24' }).count, 10n);
  assert.equal(sumOf(accepts, { port: String(six), peer: '::/48' }).count, 10n);
  const connects = labelled(probe, 'tcp_connects');
  assert.equal(sumOf(connects, { port: String(six), peer: '::/48', outcome: '0' }).count, 10n);
});

test('bytes are counted by name, direction and service port, to the byte', async (t) => {
  if (!requireBpf(t)) return;
  const bytes = 1_234_567;
  const port = await listen(t, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'tcp_bytes', { scope });
  const generator = await Generator.act(['--comm', 'sends-bytes', '--cgroup', directory, 'sends', bytes, port]);
  await generator.run();
  await generator.end();
  const rows = labelled(probe, 'tcp_bytes');
  assert.equal(sumOf(rows, { comm: 'sends-bytes', direction: 'sent' }).count, BigInt(bytes));
  assert.equal(sumOf(rows, { comm: 'sends-bytes', direction: 'received' }).count, BigInt(bytes));
  assert.equal(sumOf(rows, {}).count, 2n * BigInt(bytes), 'the other end is outside the scope');
  // Both ends' ports are any here: the lower of them it is, in both directions.
  const ports = new Set(rows.map((row) => Number(row.labels['port'])));
  assert.ok(ports.size === 1 && [...ports][0]! <= port, 'one connection, one port');
  expectBalanced(probe);
});

/** The label is the lower port of the two: a listener's is below every port that the kernel gives to a caller. */
async function freePortBelowEphemeral(): Promise<number> {
  for (let port = 20_000 + (process.pid % 5000); ; port++) {
    const taken = createServer();
    const free = await new Promise<boolean>((resolve) => {
      taken.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    taken.close();
    await once(taken, 'close');
    return port;
  }
}

test('retransmissions to a full queue are those of /proc/net/snmp', async (t) => {
  if (!requireBpf(t)) return;
  const port = await freePortBelowEphemeral();
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'tcp_retransmits', { labels: ['cgroup'] });
  const connects = loadProbe(t, 'tcp_connects');
  const generator = await Generator.act(['--comm', 'crowds-in', '--cgroup', directory, 'crowds', 12, port]);
  const kernelBefore = snmp('RetransSegs');
  const before = sumOf(labelled(probe, 'tcp_retransmits'), {}).count;
  await generator.run();
  const rows = labelled(probe, 'tcp_retransmits');
  const kernels = snmp('RetransSegs') - kernelBefore;
  await generator.end();
  // Sent again by a timer, whatever task that came upon: the cgroup is the socket's.
  const cgroup = scope.replace('cgroup=', '');
  const mine = sumOf(rows, { port: String(port), peer: '127.0.0.0/24', cgroup }).count;
  const all = sumOf(rows, {}).count - before;
  t.diagnostic(`${mine} to the full queue, ${all} in all; the kernel has ${kernels} segments`);
  // Of twelve one or two are let in; others' traffic may have retransmissions of several segments.
  assert.ok(mine >= 10n && mine <= 12n, `${mine} tries were repeated`);
  assert.ok(all <= kernels && kernels - all <= 5n, `${all}, the kernel has ${kernels}`);
  // They were given up with their process's end, after more than a second.
  const canceled = sumOf(labelled(connects, 'tcp_connects'), { comm: 'crowds-in', outcome: 'ECANCELED' });
  assert.equal(canceled.count, mine);
  assert.ok(canceled.sum / canceled.count > 1_000_000_000n);
});

test('round trip times are those that TCP tells the connection’s owner', async (t) => {
  if (!requireBpf(t)) return;
  const port = await listen(t, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  const { directory, scope } = ownCgroup(t);
  const probe = loadProbe(t, 'tcp_rtt', { scope, labels: ['cgroup'] });
  const generator = await Generator.act(['--cgroup', directory, 'pings', 100, port]);
  const { ns } = await generator.run();
  await generator.end();
  const told = ns.map((trip) => trip / 1000);
  const rows = labelled(probe, 'tcp_rtt');
  const all = sumOf(rows, { peer: '127.0.0.0/24', cgroup: scope.replace('cgroup=', '') });
  const mean = Number(all.sum) / Number(all.count);
  t.diagnostic(`${all.count} segments, ${mean} us; told ${Math.min(...told)} to ${Math.max(...told)} us`);
  // Each answer is at least one segment; the first finds the handshake's time, which nobody was told.
  assert.ok(all.count >= 100n && all.count <= 400n, `${all.count} segments`);
  assert.equal(rows.length, 1, 'one connection');
  const sumTold = told.reduce((sum, trip) => sum + trip, 0);
  assert.ok(Math.abs(mean - sumTold / told.length) <= Math.max(...told) - Math.min(...told) + 1, `${mean} us`);
  expectBalanced(probe);
});
