/** Partitions taken while the store or the bus is away: loading them holds up neither the lease nor the stop. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { PartitionDriver } from '../../services/aggregator/adapters/partition-driver.ts';
import { PartitionSet } from '../../services/aggregator/adapters/partition-set.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { until } from '../contract/servers.ts';

/** Loads until it is stopped, as a driver does whose store does not answer. */
function loadingDriver(stopped: number[], partition: number): PartitionDriver {
  let end = (): void => undefined;
  const loading = new Promise<void>((resolve) => (end = resolve));
  const driver: Partial<PartitionDriver> = {
    start: () => loading,
    stop: () => {
      stopped.push(partition);
      end();
      return Promise.resolve();
    },
  };
  return driver as PartitionDriver;
}

for (const [when, heldAtFirst] of [
  ['at the start', [1, 2]],
  ['by a later renewal', []],
] as const) {
  test(`what is taken ${when} and does not load: the lease is renewed, and a stop ends it`, async () => {
    const renewals: number[][] = [];
    const stopped: number[] = [];
    let left = false;
    const set = new PartitionSet({
      leases: {
        renew: (working) => {
          renewals.push([...working]);
          return Promise.resolve({ held: renewals.length === 1 ? heldAtFirst : [1, 2], surplus: 0, members: 1 });
        },
        release: () => Promise.resolve(),
        leave: () => Promise.resolve(void (left = true)),
        close: () => Promise.resolve(),
      },
      renewEveryMs: 5,
      createDriver: (partition) => loadingDriver(stopped, partition),
      log: silentLog,
      fail: (error) => assert.fail(String(error)),
    });
    const started = set.start();
    await until(() => Promise.resolve(renewals.filter((working) => working.length === 2).length > 2), 5_000);
    await set.stop(100);
    await started;
    assert.deepEqual(stopped, [1, 2]);
    assert.ok(left);
  });
}
