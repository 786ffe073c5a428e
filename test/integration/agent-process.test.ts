/**
 * The agent's process on the real kernel and a real nats-server: without any privilege in any thread, from a checkout
 * that nobody else may read; exact through kill -9, sealing and clearing.
 */
import { test, type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, nanos, type NatsConnection } from 'nats';
import { Durable, decodeBatch, type Batch } from '../../services/shared/contract/batch.ts';
import { durableSubject, streamName, streamSubjects } from '../../services/shared/contract/subjects.ts';
import { Joiner } from '../agent/rig.ts';
import { NatsServer, natsServerPresent } from '../contract/nats-server.ts';
import { generate } from '../kernel/generator.ts';
import { KeeperProcess, ownPlace } from '../kernel/loader-process.ts';
import { checkout, ownCgroup, requireBpf } from '../kernel/probe.ts';
import { requireOrSkip } from '../require.ts';

const host = 'agent-test.example';
const uid = 61_999;
const agentMain = 'dist/services/agent/main.js';

/** Everything that the stream gets, as an aggregator would: joined, and answered with *durable*. */
class Receiver {
  readonly batches: Batch[] = [];
  readonly joiner = new Joiner();
  announce = true;

  private constructor(readonly connection: NatsConnection) {}

  static async start(t: TestContext, server: NatsServer): Promise<Receiver> {
    const connection = await connect({ servers: server.address });
    t.after(() => connection.close());
    const manager = await connection.jetstreamManager();
    await manager.streams.add({ name: streamName, subjects: [streamSubjects], duplicate_window: nanos(120_000) });
    const receiver = new Receiver(connection);
    connection.subscribe(streamSubjects, { callback: (_error, message) => receiver.take(message.data) });
    return receiver;
  }

  private take(payload: Uint8Array): void {
    const batch = decodeBatch(payload);
    this.batches.push(batch);
    this.joiner.take(batch);
    if (!batch.sealed || !this.announce || batch.part !== batch.parts) return;
    const { bootId, uuid } = batch.lineage!;
    this.connection.publish(
      durableSubject(host),
      Durable.encode({ bootId, lineageUuid: uuid, generation: batch.generation }).finish(),
    );
  }
}

class Agent {
  stderr = '';
  private constructor(
    readonly child: ChildProcess,
    readonly ready: Record<string, unknown>,
  ) {}

  static async start(t: TestContext, words: readonly string[], flags: readonly string[]): Promise<Agent> {
    const all = [...words, '--host', host, '--interval', '200ms', '--log-level', 'info', ...flags];
    const child = spawn(all[0]!, all.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    t.after(() => child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    const { value, done } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
    assert.ok(!done, `the agent ended: ${stderr}`);
    const agent = new Agent(child, JSON.parse(value as string) as Record<string, unknown>);
    agent.stderr = stderr;
    child.stderr.on('data', (chunk: string) => (agent.stderr += chunk));
    return agent;
  }

  /** The process that runs Node: setpriv and unshare replace themselves. */
  get pid(): number {
    return this.child.pid!;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const exit = once(this.child, 'exit');
    this.child.kill(signal);
    return ((await exit) as [number | null])[0];
  }
}

const unprivileged = [
  'setpriv',
  '--inh-caps=-all,+setuid,+setgid',
  'setpriv',
  '--bounding-set=-all',
  '--no-new-privs',
  process.execPath,
];

async function place(t: TestContext, rows: number) {
  if (!requireBpf(t) || !requireOrSkip(t, 'nats-server', natsServerPresent())) return undefined;
  const server = await NatsServer.start();
  t.after(() => server.stop());
  const receiver = await Receiver.start(t, server);
  const pins = ownPlace(t);
  const { directory: cgroup, scope } = ownCgroup(t);
  const keeper = await KeeperProcess.start(pins, [
    '--probes',
    'syscalls',
    '--scope',
    scope,
    '--rows',
    `syscalls=${rows}`,
    '--gid',
    String(uid),
  ]);
  const flags = [
    '--pin-root',
    pins.pinRoot,
    '--nats',
    server.address,
    '--socket',
    pins.socket,
    '--uid',
    String(uid),
    '--gid',
    String(uid),
  ];
  return { server, receiver, cgroup, keeper, flags };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!holds()) {
    assert.ok(performance.now() < end, `not within 20 s: ${what}`);
    await sleep(50);
  }
}

const ofComm = (joiner: Joiner, comm: string): bigint =>
  [...joiner.totals()].reduce((sum, [labels, n]) => (labels.endsWith(`|${comm}`) ? sum + n : sum), 0n);

test('from a checkout of mode 0700 it runs without privilege in every thread, and counts exactly', async (t) => {
  const p = await place(t, 4096);
  if (!p) return;
  // The checkout seen below a folder that only root may enter, in a mount namespace of its own.
  const outer = mkdtempSync(join(tmpdir(), 'muster-private-'));
  t.after(() => rmSync(outer, { recursive: true, force: true }));
  chmodSync(outer, 0o700);
  const inside = join(outer, 'checkout');
  mkdirSync(inside);
  const script = `mount --bind ${checkout} ${inside} && exec "$@"`;
  const agent = await Agent.start(
    t,
    ['unshare', '--mount', 'sh', '-c', script, 'sh', ...unprivileged, join(inside, agentMain)],
    [...p.flags, '--label', 'role=web'],
  );
  assert.equal(agent.ready['uid'], uid);
  assert.equal(agent.ready['capabilities'], 'none');
  await generate(['--cgroup', p.cgroup, '--threads', 2, '--comm', 'exact', '--calls', 50_000]);
  await until('all calls arrive', () => p.receiver.joiner.totals().get('getppid|exact') === 100_000n);

  const tasks = readdirSync(`/proc/${agent.pid}/task`);
  assert.ok(tasks.length > 4, 'libuv and V8 have threads of their own');
  for (const task of tasks) {
    const status = readFileSync(`/proc/${agent.pid}/task/${task}/status`, 'utf8');
    const line = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)![1]!.trim();
    for (const set of ['CapEff', 'CapPrm', 'CapBnd', 'CapAmb'])
      assert.match(line(set), /^0+$/, `${set} of thread ${task}`);
    assert.equal(line('NoNewPrivs'), '1');
    assert.equal(line('Uid'), Array(4).fill(uid).join('\t'));
    assert.equal(line('Gid'), Array(4).fill(uid).join('\t'));
    assert.equal(line('Groups'), '');
  }

  await p.keeper.ask({ id: 1, op: 'detach' });
  assert.equal(await agent.end('SIGTERM'), 0);
  const last = p.receiver.batches.at(-1)!;
  assert.equal(last.tables[0]!.ledger!.seen, p.receiver.joiner.sum(), 'the last read has everything');
  assert.deepEqual(p.receiver.batches[0]!.hostLabels, { role: 'web' });
  assert.doesNotMatch(agent.stderr, /"level":"(warn|error)"/);
});

test('64 rows under 600 keys, kill -9 again and again: generations are sealed, and every event is counted once', async (t) => {
  const p = await place(t, 64);
  if (!p) return;
  const words = [...unprivileged, join(checkout, agentMain)];
  let agent = await Agent.start(t, words, p.flags);
  let calls = 0n;
  const began = performance.now();
  for (let round = 0; performance.now() - began < 26_000; round++) {
    await generate(['--cgroup', p.cgroup, '--comm', 'flood', '--call', 'number', '--keys', 600, '--calls', 3000]);
    calls += 3000n;
    if (round % 8 === 7) {
      await agent.end('SIGKILL');
      agent = await Agent.start(t, words, p.flags);
    }
    await sleep(100);
  }
  await p.keeper.ask({ id: 1, op: 'detach' });
  assert.equal(await agent.end('SIGTERM'), 0);
  await p.receiver.connection.flush();
  const { batches, joiner } = p.receiver;
  const sealed = new Map(batches.filter((b) => b.sealed).map((b) => [b.generation, b]));
  assert.ok(sealed.size >= 2, `${sealed.size} generations were sealed`);
  const last = batches.at(-1)!.tables[0]!;
  assert.equal(last.retiredSeen + last.ledger!.seen, joiner.sum(), 'seen over all generations = Σ rows + overflow');
  const other = [...joiner.totals()]
    .filter(([labels]) => !labels.endsWith('|flood') && labels !== 'overflow')
    .reduce((sum, [, n]) => sum + n, 0n);
  assert.ok(
    ofComm(joiner, 'flood') + (joiner.totals().get('overflow') ?? 0n) >= calls,
    'all calls are in rows or overflow',
  );
  assert.ok(joiner.sum() - other - calls < calls / 10n, 'and little else is');
  assert.doesNotMatch(agent.stderr, /accuracy|"level":"error"/);
});

test('it says what is wrong: root, bad flags, a bus without JetStream', async (t) => {
  if (!requireOrSkip(t, 'nats-server', natsServerPresent())) return;
  const end = async (flags: readonly string[]): Promise<{ code: number | null; stderr: string }> => {
    const child = spawn(process.execPath, [join(checkout, agentMain), ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stderr };
  };
  const threeLines = /^error: .*\n {2}why: .*\n {2}fix: .*\n$/m;
  const bad = await end(['--intervall', '1s']);
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /did you mean --interval\?/);
  const root = await end(['--uid', '0']);
  assert.equal(root.code, 2);
  assert.match(root.stderr, threeLines);
  const server = await NatsServer.start({ jetstream: false });
  t.after(() => server.stop());
  const bare = await end(['--nats', server.address, '--pin-root', '/sys/fs/bpf/muster-no-such-root']);
  assert.equal(bare.code, 1);
  assert.match(bare.stderr, threeLines);
  assert.match(bare.stderr, /JetStream/);
});
