/** A byte of the stream's file is flipped while nats-server is down: what is published after that must come all the same. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { connect } from 'nats';
import { createNatsBatchSource } from '../../services/shared/adapters/nats-batch-source.ts';
import { StallWatch } from '../../services/shared/adapters/nats-stall.ts';
import { partitionCount } from '../../services/shared/contract/subjects.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { missing, startNats, until } from './servers.ts';

test('a stream that grows and delivers nothing is stalled; one that is silent, away or delivering is not', () => {
  const watch = new StallWatch(3_000);
  const looks = (...seen: [ms: number, messages: number, last: bigint][]): boolean[] =>
    seen.map(([ms, messages, last]) => watch.look(ms, messages, last));
  assert.deepEqual(
    looks([0, 4, 10n], [5_000, 4, 10n], [10_000, 4, 10n]),
    [false, false, false],
    'nothing new comes in',
  );
  assert.deepEqual(looks([11_000, 5, 11n], [13_000, 6, 12n], [14_000, 7, 13n]), [false, false, true]);
  watch.reset();
  assert.deepEqual(
    looks([15_000, 7, 13n], [16_000, 8, 14n], [17_000, 0, 14n], [25_000, 1, 15n]),
    [false, false, false, false],
    'emptied',
  );
  watch.reset();
  assert.deepEqual(
    looks([30_000, 7, 20n], [31_000, 7, 2n], [35_000, 8, 3n], [37_000, 8, 3n]),
    [false, false, false, false],
    'made again',
  );
});

test(
  'messages come again after damage to the newest of a stream',
  { skip: missing('nats-server'), timeout: 60_000 },
  async () => {
    const server = await startNats();
    const source = createNatsBatchSource({ address: server.address, name: 'test', log: silentLog });
    const raw = await connect({ servers: server.address, reconnectTimeWait: 100, maxReconnectAttempts: -1 });
    try {
      await source.ready;
      await source.streamIdentity();
      let taken = 0;
      let acknowledging = true;
      for (let partition = 0; partition < partitionCount; partition++) {
        await source.consume(partition, (message) => {
          taken++;
          if (acknowledging) message.ack();
        });
      }
      const publish = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++)
          await raw.jetstream().publish('muster.v1.batch.3.x', new Uint8Array(1500).fill(i));
      };
      await publish(40);
      await until(async () => (await source.unacknowledged()) === 0);
      acknowledging = false;
      await publish(8);
      await until(() => taken === 48);

      await server.kill();
      const block = (readdirSync(server.folder, { recursive: true, encoding: 'utf8' }) as string[]).find((name) =>
        name.endsWith('.blk'),
      )!;
      const path = join(server.folder, block);
      const bytes = readFileSync(path);
      bytes[bytes.length - 5_000]! ^= 1;
      writeFileSync(path, bytes);
      await server.restart();

      taken = 0;
      acknowledging = true;
      await until(async () => {
        await publish(1).catch(() => undefined);
        return taken > 0;
      }, 30_000);
      // And from now on each of them.
      await until(async () => (await source.unacknowledged()) === 0);
      const before = taken;
      await publish(20);
      await until(() => taken === before + 20);
    } finally {
      await raw.close();
      await source.close();
      await server.stop();
    }
  },
);
