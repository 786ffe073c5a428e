/** The driver's own order of things: what the core is told, and when. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { drive } from '../../services/agent/adapters/drive.ts';
import type { AgentEvent } from '../../services/agent/effects.ts';

test('when told to stop it looks once more what is detached, before the last read', async () => {
  const events: AgentEvent[] = [];
  const detached = new Map<string, bigint>();
  const driver = drive({
    step: (event: AgentEvent) => {
      events.push(event);
      return event.kind === 'stop' ? [{ kind: 'stopped' }] : [];
    },
    performer: { perform: () => undefined },
    tables: { list: () => ['calls/1'], detached: () => new Map(detached) },
    bus: { publish: () => Promise.resolve(), subscribe: () => undefined },
    keeper: {},
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    now: () => ({ boottimeNs: 1n, wallNs: 1n }),
    intervalMs: 60_000,
    subjects: { resync: 'r', durable: 'd', refused: 'f' },
  } as unknown as Parameters<typeof drive>[0]);
  detached.set('calls/1', 7n);
  assert.equal(await driver.stop(1_000), 'confirmed');
  const [found, stop] = events.slice(-2);
  assert.deepEqual(found?.kind === 'found' && found.detached, detached);
  assert.equal(stop?.kind, 'stop');
});
