/**
 * All built-in probes at once, from the kernel to the answer: known numbers of events under a name of its own, asked
 * for by labels as a caller writes them.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cannotRun, Instance, root } from './instance.ts';

const probes = readdirSync(join(root, 'bpf'))
  .filter((file) => file.endsWith('.bpf.c'))
  .map((file) => file.replace('.bpf.c', ''));

/** `functions` counts what it is told to; here a function of the test's own program. */
const asked = probes.map((probe) =>
  probe === 'functions' ? `functions:${join(root, 'build/test/acts')}:main` : probe,
);

/** One act of test/kernel/load/acts.c to its end. */
async function act(...args: (string | number)[]): Promise<void> {
  const running = promisify(execFile)(join(root, 'build/test/acts'), args.map(String));
  running.child.stdin!.end('go\nend\n');
  await running;
}

describe('muster up with every built-in probe', { skip: cannotRun }, () => {
  let up: Instance;
  before(async () => {
    up = await Instance.start(['--probes', asked.join(',')]);
  });
  after(() => up?.discard());

  test('all of them attach on this kernel, and their metrics are listed with unit and help', async () => {
    for (const probe of probes) assert.match(up.stderr, new RegExp(`${probe}: attached to `), up.stderr);
    const { metrics } = await up.client.call('ListMetrics', {});
    assert.ok(metrics.length >= 19, metrics.map((m) => m.name).join());
    for (const metric of metrics) assert.ok(metric.unit !== '' && metric.help !== '', metric.name);
  });

  test('known numbers of events come out under decoded labels', { timeout: 60_000 }, async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await act('--comm', 'up-forks', 'forks', 70, 3);
    await act('--comm', 'up-faults', 'faults', 3000);
    await act('--comm', 'up-connects', 'connects', 90, port);
    await act('--comm', 'up-sends', 'sends', 300_000, port);
    server.close();
    const expected = [
      ['process_forks', 'comm="up-forks",kind="process"', 70],
      ['process_exits', 'comm="up-forks",status="3"', 70],
      ['tcp_bytes', 'comm="up-sends",direction="sent"', 300_000],
      ['tcp_bytes', 'comm="up-sends",direction="received"', 300_000],
    ] as const;
    for (const [metric, selector, n] of expected) {
      const answer = await up.expectTotal({ metric, selector, range: 'all' }, n);
      assert.equal(answer.rows.length, 1, JSON.stringify(answer.rows));
    }
    const opened = await up.client.call('QueryHistogram', {
      metric: 'tcp_connects',
      selector: `comm="up-connects",port="${port}",peer="127.0.0.0/24",outcome="0"`,
      range: 'all',
    });
    assert.equal(opened.rows.length, 1, JSON.stringify(opened.rows));
    assert.equal(opened.rows[0]!.count, '90');
    const faults = await up.query({ metric: 'page_faults', selector: 'comm="up-faults",access="write"', range: 'all' });
    assert.ok(Number(faults.total) >= 3000 && Number(faults.total) < 3200, faults.total);
    const vectors = await up.client.call('ListLabelValues', { metric: 'softirq', label: 'vector' });
    assert.ok(JSON.stringify(vectors).includes('NET_RX'), JSON.stringify(vectors));
  });

  test('every table has a ledger that balances, and says why what is in its overflow is there', async () => {
    const { rows } = await up.client.call('GetLedger', {});
    assert.ok(rows.length >= 19, JSON.stringify(rows));
    for (const row of rows) {
      assert.ok(row.balanced, `${row.table}: ${JSON.stringify(row)}`);
      // Other tests on this machine may fill a table with keys; that is counted with its reason.
      const reasons = Object.keys(row.failedByReason).length;
      assert.ok(row.ledger?.overflow === '0' || reasons > 0, `${row.table}: ${JSON.stringify(row)}`);
    }
  });
});
