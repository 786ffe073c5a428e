/** Stacks named by a keeper that is slow, silent or away: a bound for all of them, what was named kept, and patience. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createKeeperClient, type KeeperClient } from '../../services/agent/adapters/keeper-client.ts';
import { createNames } from '../../services/agent/adapters/names.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';

/** A keeper that names stack N "sN" in its first `answers` answers, and is silent from then on. */
async function keeperOf(t: TestContext, answers: number): Promise<KeeperClient> {
  const directory = mkdtempSync(join(tmpdir(), 'muster-keeper-'));
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('data', (line: Buffer) => {
      if (answers-- <= 0) return;
      const { ids } = JSON.parse(line.toString()) as { ids: string[] };
      socket.write(`${JSON.stringify({ id: 1, ok: true, stacks: ids.map((id) => `s${id}`) })}\n`);
    });
  });
  const path = join(directory, 'keeper.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  });
  return createKeeperClient(path);
}

const ids = Array.from({ length: 300 }, (_, i) => BigInt(i + 1));

test('all of a look-up has one bound, and what was named by then is kept', async (t) => {
  const keeper = await keeperOf(t, 2);
  const start = performance.now();
  const { texts, failure } = await keeper.stacks('p', '0'.repeat(32), ids, 300);
  assert.ok(performance.now() - start >= 290);
  assert.match(String(failure), /ask the keeper/);
  assert.deepEqual(
    texts,
    ids.slice(0, 128).map((id) => `s${id}`),
  );
});

test('all that is asked in time is named', async (t) => {
  const { texts, failure } = await (await keeperOf(t, 5)).stacks('p', '0'.repeat(32), ids, 60_000);
  assert.equal(failure, undefined);
  assert.equal(texts.length, 300);
});

test('a keeper that failed is left alone, longer each time, and asked again', async () => {
  let nowMs = 0;
  let fails = true;
  const asked: number[] = [];
  const keeper: Pick<KeeperClient, 'stacks'> = {
    stacks: (_probe, _uuid, wanted) => {
      asked.push(nowMs);
      return Promise.resolve(
        fails ? { texts: ['half'], failure: new Error('slow') } : { texts: wanted.map((id) => `s${id}`) },
      );
    },
  };
  const names = createNames(
    () => 'host name',
    keeper,
    silentLog,
    () => nowMs,
  );
  const look = (): Promise<(string | undefined)[]> =>
    names({
      kind: 'look-up',
      directory: 'd',
      probe: 'p',
      uuid: 'u',
      wanted: [
        { kind: 'stack', id: 1n },
        { kind: 'cgroup', id: 5n },
        { kind: 'stack', id: 2n },
      ],
    });
  assert.deepEqual(await look(), ['half', 'host name', undefined]);
  for (nowMs = 250; nowMs < 200_000; nowMs += 250) await look();
  assert.deepEqual(asked.slice(0, 8), [0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000]);
  fails = false;
  nowMs = 300_000;
  assert.deepEqual(await look(), ['s1', 'host name', 's2']);
  assert.deepEqual(await look(), ['s1', 'host name', 's2']);
});
