/** What is asked for is kept ready in the background; a question that fell out of order does not keep the rest from it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { Refresher } from '../../services/query/adapters/refresher.ts';
import { FleetReader } from '../../services/query/fleet-reader.ts';
import { Query } from '../../services/query/query.ts';
import { blank, row } from './ask.ts';
import { nowMs, syscalls } from './checkpoints.ts';
import { FakeReader } from './fake-reader.ts';

test('a question whose time has passed is forgotten, the others are made ready', async (t) => {
  const port = new FakeReader();
  const commit = (value: bigint): void =>
    port.commit([{ host: 'a', tables: [{ schema: syscalls, rows: [row('read', 'x', value)] }] }]);
  commit(1n);
  let now = nowMs;
  const reader = new FleetReader(port, () => now);
  const refresher = new Refresher(new Query(), reader, () => now);
  t.after(() => refresher.close());
  // The oldest time that can still be asked for, and a second later no more.
  const startTime = { seconds: String(Math.floor((nowMs - 3_610_000) / 1000) + 1), nanos: 0 };
  refresher.note('Query', { ...blank, startTime });
  refresher.note('Query', { ...blank, range: 'all' });
  for (let value = 2n; value < 4n; value++) {
    commit(value);
    port.fetched = [];
    now += 1500;
    const deadline = Date.now() + 20_000;
    while (!port.fetched.some((name) => name.startsWith('last/a/'))) {
      assert.ok(Date.now() < deadline, 'nothing was read in the background');
      await wait(20);
    }
  }
});
