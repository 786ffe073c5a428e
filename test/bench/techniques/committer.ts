/**
 * A process to be killed: adds up a stream of known increments and keeps sum and position in Redis.
 * `together`: through the aggregator's store, in one atomic write. `apart`: two writes, as first thought of.
 * Prints each position once it is kept.
 */
import { createRedisCheckpointStore } from '../../../services/shared/adapters/redis-checkpoint-store.ts';
import { connectRedis } from '../../../services/shared/adapters/redis-connection.ts';
import { CheckpointHead } from '../../../services/shared/contract/checkpoint.ts';
import { silentLog } from '../../../services/shared/runtime/log.ts';
import { incrementOf } from './increments.ts';

const [mode, address, end] = process.argv.slice(2);
const last = Number(end);
const options = { address: address!, name: 'bench', log: silentLog };

async function together(): Promise<void> {
  const store = createRedisCheckpointStore(options);
  await store.verify();
  const found = await store.load(1);
  let head = found?.head;
  let sum = BigInt(found ? Buffer.from(found.blobs.get('sum')!).toString() : '0');
  let position = found ? Number(CheckpointHead.decode(found.head.head).streamSequence) : 0;
  while (position < last) {
    for (let i = 0; i < 50 && position < last; i++) sum += incrementOf(++position);
    const version = (head?.version ?? 0n) + 1n;
    const commitId = `${process.pid}-${version}`;
    const bytes = CheckpointHead.encode({
      ...{
        formatVersion: 1,
        version,
        commitId,
        streamIdentity: 's',
        streamSequence: BigInt(position),
        committedWallMs: 1n,
      },
    }).finish();
    const next = { version, commitId, head: bytes };
    await store.commit({
      partition: 1,
      expected: head,
      next,
      put: new Map([['sum', Buffer.from(String(sum))]]),
      drop: [],
    });
    head = next;
    process.stdout.write(`${position}\n`);
  }
  process.stdout.write(`sum ${sum}\n`);
  await store.close();
}

async function apart(): Promise<void> {
  const link = connectRedis(options);
  await link.usable(3000);
  const read = async (name: string): Promise<string> => (await link.send('read', (c) => c.get(name))) ?? '0';
  let sum = BigInt(await read('sum'));
  let position = Number(await read('position'));
  while (position < last) {
    for (let i = 0; i < 50 && position < last; i++) sum += incrementOf(++position);
    await link.send('write', (c) => c.set('sum', String(sum)));
    await link.send('write', (c) => c.set('position', String(position)));
    process.stdout.write(`${position}\n`);
  }
  process.stdout.write(`sum ${sum}\n`);
  await link.close();
}

await (mode === 'together' ? together() : apart());
