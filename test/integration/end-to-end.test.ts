/**
 * The whole path, as a user has it: kernel events become gRPC answers, exactly, through the death of every part.
 * Oracle: the load generator makes a known number of system calls under a name of its own.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'nats';
import { QueryError } from '../../services/shared/adapters/grpc-client.ts';
import type { QueryRequest } from '../../services/shared/contract/query.ts';
import { batchSubject } from '../../services/shared/contract/subjects.ts';
import { cannotRun, Instance, isRunning, load, muster, until, type RoleName } from './instance.ts';

const calls = 200_000;
const of = (comm: string): string => `comm="${comm}",syscall="getppid"`;
const timestamp = (ms: number) => ({ seconds: String(Math.floor(ms / 1000)), nanos: Math.floor(ms % 1000) * 1e6 });

describe('muster up', { skip: cannotRun }, () => {
  let up: Instance;
  before(async () => {
    up = await Instance.start(['--label', 'role=test,zone=a']);
  });
  after(() => up?.discard());

  test('says what attached, shows a table of this kernel, and a line to copy', () => {
    assert.match(up.stderr, /syscalls: attached to tp_btf\/sys_enter/);
    assert.match(up.stderr, /runqueue: attached to /);
    assert.match(up.stdout, /syscall +comm|comm +syscall/);
    assert.ok(up.stdout.trim().split('\n').length > 3, up.stdout);
    assert.ok(up.stderr.includes(`grpcurl -plaintext -d '{}' ${up.listen} muster.v1.QueryService/Query`));
  });

  test('counts exactly, in total, by host and by window', { timeout: 90_000 }, async () => {
    const beganMs = Date.now();
    await load('--threads', '2', '--calls', String(calls / 2), '--comm', 'e2e-exact');
    const endedMs = Date.now();
    const answer = await up.expectTotal({ metric: 'syscalls', selector: of('e2e-exact'), range: 'all' }, calls);
    assert.equal(answer.coverage?.exact, true, JSON.stringify(answer.coverage));
    assert.deepEqual(
      answer.rows.map((r) => [r.labels, r.value, r.errorBound]),
      [[{ syscall: 'getppid', comm: 'e2e-exact' }, String(calls), '0']],
    );
    const byHost = await up.query({
      metric: 'syscalls',
      selector: of('e2e-exact'),
      range: 'all',
      groupBy: ['host', 'role'],
    });
    assert.deepEqual(
      byHost.rows.map((r) => [r.labels, r.value]),
      [[{ host: hostname(), role: 'test' }, String(calls)]],
    );
    const none = await up.query({ metric: 'syscalls', selector: `${of('e2e-exact')},zone="b"`, range: 'all' });
    assert.equal(none.total, '0');
    // Reads end up to an interval after the events; then the last window must pass.
    const startMs = Math.floor(beganMs / 10_000) * 10_000;
    const endMs = Math.ceil((endedMs + 2500) / 10_000) * 10_000;
    await sleep(Math.max(0, endMs - Date.now()));
    const windows = {
      metric: 'syscalls',
      selector: of('e2e-exact'),
      startTime: timestamp(startMs),
      endTime: timestamp(endMs),
    };
    await up.expectTotal(windows, calls);
    const range = await up.client.call('QueryRange', { ...windows, step: '10s' });
    assert.equal(
      range.total.reduce((sum, p) => sum + Number(p.value), 0),
      calls,
    );
  });

  test('an event is in the answer within 3 s', async () => {
    await load('--calls', '1000', '--comm', 'e2e-fresh');
    const began = performance.now();
    await until(
      'the events are there',
      async () => (await up.query({ selector: of('e2e-fresh'), range: 'all' })).total === '1000',
      3000,
    );
    assert.ok(performance.now() - began < 3000);
  });

  test('a watch tells what changed as it is counted', async () => {
    const selector = of('e2e-watch');
    const query = { selector, groupBy: ['comm'], range: 'all' } as Partial<QueryRequest> as QueryRequest;
    let held = '0';
    for await (const update of up.client.watch({ query, interval: '250ms' }, { deadlineMs: 20_000 })) {
      if (update.whole && update.rows.length === 0) await load('--calls', '1000', '--comm', 'e2e-watch');
      for (const row of update.rows) held = row.value;
      if (held === '1000') break;
    }
    assert.equal(held, '1000');
  });

  test('what counting costs is measured', { timeout: 60_000 }, async () => {
    await until(
      'the cost of each program is measured',
      async () => (await up.client.call('GetCost', {})).rows.filter((r) => r.period).length === 2,
      45_000,
    );
    const { rows, kernelBytes, cpuShare } = await up.client.call('GetCost', { probe: 'syscalls' });
    const [row] = rows;
    assert.deepEqual([row!.host, row!.program], [hostname(), 'on_sys_enter']);
    assert.ok(row!.nsPerRun! > 1 && row!.nsPerRun! < 1e6 && row!.runsPerSecond! > 0, JSON.stringify(row));
    assert.ok(
      Math.abs(row!.cpuShare! - (row!.nsPerRun! * row!.runsPerSecond!) / 1e9) < 1e-6 && cpuShare === row!.cpuShare,
    );
    assert.ok(Number(kernelBytes) > 65_536 && row!.kernelBytes === kernelBytes);
    assert.ok(!('budgetCpuShare' in row!) && !('degradation' in row!));
  });

  test('the agent holds no privilege in any thread', () => {
    const { agent } = up.pids();
    const threads = readdirSync(`/proc/${agent}/task`);
    assert.ok(threads.length > 1);
    for (const thread of threads) {
      const status = readFileSync(`/proc/${agent}/task/${thread}/status`, 'utf8');
      const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)![1]!;
      for (const set of ['CapEff', 'CapPrm', 'CapBnd', 'CapAmb'])
        assert.equal(BigInt(`0x${field(set)}`), 0n, `${set} of thread ${thread}`);
      assert.equal(field('NoNewPrivs'), '1');
      for (const uid of field('Uid').split('\t')) assert.notEqual(uid, '0');
      for (const gid of field('Gid').split('\t')) assert.notEqual(gid, '0');
    }
  });

  test('stays exact while every part is killed', { timeout: 180_000 }, async () => {
    const victims: RoleName[] = ['agent', 'aggregator', 'query', 'nats', 'redis', 'keeper'];
    const each = 20_000;
    let made = 0;
    let running = true;
    // Short-lived processes, one after another, all the while.
    const work = (async () => {
      while (running) {
        await load('--threads', '2', '--calls', String(each / 2), '--comm', 'e2e-killed');
        made += each;
        await sleep(100);
      }
    })();
    for (const victim of victims) {
      await up.kill(victim);
      await sleep(500);
    }
    running = false;
    await work;
    assert.ok(made >= 10 * each, `only ${made}`);
    const answer = await up.expectTotal({ metric: 'syscalls', selector: of('e2e-killed'), range: 'all' }, made, 30_000);
    assert.equal(answer.coverage?.exact, true, JSON.stringify(answer.coverage));
    await up.expectTotal({ metric: 'syscalls', selector: of('e2e-exact'), range: 'all' }, calls);
  });

  test('garbage on the bus is set aside and said so, and nothing is lost', async () => {
    const { nats } = JSON.parse(readFileSync(`${up.stateDir}/ports.json`, 'utf8')) as { nats: number };
    const bus = await connect({ servers: `127.0.0.1:${nats}` });
    const garbage = [new Uint8Array(0), new Uint8Array(5000).fill(0xff), new TextEncoder().encode('{"not":"a batch"}')];
    for (const payload of garbage) bus.publish(batchSubject(hostname()), payload);
    bus.publish('muster.v1.batch.0.a=ZZ', garbage[2]!);
    bus.publish('muster.v1.batch.not-a-partition', garbage[2]!);
    await bus.flush();
    await bus.drain();
    await load('--calls', '5000', '--comm', 'e2e-garbage');
    await up.expectTotal({ selector: of('e2e-garbage'), range: 'all' }, 5000);
    await until(
      'the refused messages are counted',
      async () => Number((await up.client.call('GetHost', {})).host?.quarantinedBatches ?? 0) >= garbage.length,
      10_000,
    );
  });

  test('a bad question is answered by its cure', async () => {
    const cases: [Parameters<Instance['query']>[0], string, RegExp][] = [
      [{ metric: 'syscals' }, 'NOT_FOUND', /syscalls/],
      [{ selector: 'comm="a' }, 'INVALID_ARGUMENT', /column 6/],
      [{ selector: 'colour="red"' }, 'INVALID_ARGUMENT', /colour/],
      [{ range: '5 parsecs' }, 'INVALID_ARGUMENT', /range/],
      [{ groupBy: ['nothing'] }, 'INVALID_ARGUMENT', /nothing/],
    ];
    for (const [request, code, words] of cases) {
      await assert.rejects(up.query(request), (error) => {
        assert.ok(error instanceof QueryError, String(error));
        assert.equal(error.status.code, code, JSON.stringify(request));
        assert.match(error.message, words);
        return true;
      });
    }
  });

  test('the command line answers the same', () => {
    const run = (...argv: string[]) => muster([...argv, '--server', up.listen]);
    const table = run('top', 'syscalls', '--selector', of('e2e-exact'), '--range', 'all');
    assert.equal(table.code, 0, table.stderr);
    assert.match(table.stdout, /getppid +e2e-exact +200,000|e2e-exact +getppid +200,000/);
    const json = JSON.parse(run('top', 'syscalls', '-s', of('e2e-exact'), '-r', 'all', '-o', 'json').stdout) as {
      total: string;
    };
    assert.equal(json.total, String(calls));
    for (const argv of [['range'], ['hist', 'runqueue'], ['hosts'], ['metrics'], ['ledger'], ['cost']]) {
      const shown = run(...argv);
      assert.equal(shown.code, 0, shown.stderr);
      assert.ok(shown.stdout.split('\n').length > 2, `${argv.join(' ')}: ${shown.stdout}`);
    }
    const refused = run('top', 'syscals');
    assert.equal(refused.code, 64 + 5);
    assert.equal(refused.stderr.trim().split('\n').length, 3);
    assert.equal(run('top', '--count', 'many').code, 2);
  });

  test('a second one on the same state directory, or the same address, is refused', async () => {
    const same = await Instance.launch([], { stateDir: up.stateDir });
    assert.equal(await same.wait(), 1);
    assert.match(same.stderr, new RegExp(`pid ${up.process.pid}\\b`));
    assert.equal(same.stderr.trim().split('\n').length, 3);
    const taken = await Instance.launch([], { listen: up.listen });
    assert.equal(await taken.wait(), 1);
    assert.match(taken.stderr, /EADDRINUSE[^]*--listen/);
    assert.equal(taken.stderr.trim().split('\n').length, 3);
    await taken.discard();
  });

  test('ends cleanly: exit 0, no process, no pin', { timeout: 60_000 }, async () => {
    const pids = Object.values(up.pids());
    const { pinRoot, socket } = up.places();
    assert.ok(existsSync(pinRoot) && existsSync(socket));
    assert.equal(await up.stop('SIGINT'), 0, up.stderr);
    for (const pid of pids) assert.ok(!isRunning(pid), `process ${pid} is left`);
    assert.ok(!existsSync(pinRoot), 'pins are left');
    assert.ok(!existsSync(socket), 'the run directory is left');
    assert.ok(!existsSync(`${up.stateDir}/lock`));
  });

  test(
    'a later one goes on where it ended; killed itself, it leaves a kernel that counts on',
    { timeout: 90_000 },
    async () => {
      const later = await Instance.start([], { stateDir: up.stateDir });
      const stored = await later.expectTotal({ metric: 'syscalls', selector: of('e2e-exact'), range: 'all' }, calls);
      assert.equal(stored.rows[0]?.value, String(calls));

      await load('--calls', '20000', '--comm', 'e2e-orphan');
      const pids = Object.values(later.pids());
      const { pinRoot } = later.places();
      later.process.kill('SIGKILL');
      await later.wait();
      await until('its processes end by themselves', () => !pids.some(isRunning), 20_000);
      assert.ok(existsSync(pinRoot), 'what is pinned goes on counting');
      await load('--calls', '20000', '--comm', 'e2e-orphan');

      const last = await Instance.start([], { stateDir: up.stateDir });
      await last.expectTotal({ metric: 'syscalls', selector: of('e2e-orphan'), range: 'all' }, 40_000);
      assert.equal(await last.stop(), 0, last.stderr);
      assert.ok(!existsSync(pinRoot));
    },
  );
});
