/** What any CheckpointStore and CheckpointReader must do. Run on the simulated ones and on Redis. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CheckpointHead } from '../../services/shared/contract/checkpoint.ts';
import { blobDigest } from '../../services/shared/contract/checkpoint-codec.ts';
import type {
  CheckpointReader,
  CheckpointStore,
  CommitRequest,
  StoredHead,
} from '../../services/shared/runtime/ports/checkpoint-store.ts';

export interface StoreUnderTest {
  readonly store: CheckpointStore;
  readonly reader: CheckpointReader;
  /** Flips a bit of the newest blob of that name. */
  damage(partition: number, name: string): Promise<void>;
  end(): Promise<void>;
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export function headOf(version: bigint, commitId: string): StoredHead {
  const head = CheckpointHead.encode({
    formatVersion: 1,
    version,
    commitId,
    streamIdentity: 's',
    streamSequence: 5n,
    committedWallMs: 7n,
  }).finish();
  return { version, commitId, head };
}

export function request(
  partition: number,
  version: bigint,
  id: string,
  put: Record<string, string>,
  drop: string[] = [],
  expectedId?: string,
): CommitRequest {
  return {
    partition,
    expected: version === 1n ? undefined : { version: version - 1n, commitId: expectedId ?? `c${version - 1n}` },
    next: headOf(version, id),
    put: new Map(Object.entries(put).map(([name, text]) => [name, bytes(text)])),
    drop,
  };
}

const texts = (blobs: ReadonlyMap<string, Uint8Array>): Record<string, string> =>
  Object.fromEntries(
    [...blobs]
      .map(([name, blob]) => [name, new TextDecoder().decode(blob)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

export function checkpointStoreContract(name: string, make: () => Promise<StoreUnderTest>, skip: string | false): void {
  describe(`checkpoint store: ${name}`, { skip }, () => {
    let under: StoreUnderTest;
    let partition = 0;
    before(async () => {
      under = await make();
    });
    after(() => under?.end());
    const fresh = (): number => ++partition;

    test('knows nothing of a partition that was never committed', async () => {
      const p = fresh();
      assert.equal(await under.store.load(p), undefined);
      assert.equal(await under.reader.view(p), undefined);
      assert.deepEqual(await under.reader.heads([p]), new Map());
    });

    test('gives back what was committed: put, replaced, dropped', async () => {
      const p = fresh();
      assert.deepEqual(
        await under.store.commit(request(p, 1n, 'c1', { 'host/a': 'one', 'host/b': 'two', 'base/a/t': '' })),
        { kind: 'committed' },
      );
      assert.deepEqual(await under.store.commit(request(p, 2n, 'c2', { 'host/a': 'three' }, ['host/b'])), {
        kind: 'committed',
      });
      const loaded = await under.store.load(p);
      assert.deepEqual(texts(loaded!.blobs), { 'base/a/t': '', 'host/a': 'three' });
      assert.deepEqual([...loaded!.names].sort(), ['base/a/t', 'host/a']);
      assert.equal(loaded!.head.version, 2n);
      assert.equal(loaded!.head.commitId, 'c2');
      assert.deepEqual(Buffer.from(loaded!.head.head), Buffer.from(headOf(2n, 'c2').head));
      assert.equal(loaded!.fellBack, false);
      assert.deepEqual(loaded!.damaged, []);
    });

    test('reads only the blobs that are wanted, and names all', async () => {
      const p = fresh();
      await under.store.commit(request(p, 1n, 'c1', { 'host/a': 'one', 'window/10s/0/t': 'two' }));
      const loaded = await under.store.load(p, (n) => !n.startsWith('window/'));
      assert.deepEqual(texts(loaded!.blobs), { 'host/a': 'one' });
      assert.deepEqual([...loaded!.names].sort(), ['host/a', 'window/10s/0/t']);
    });

    test('refuses a commit on anything but version and commit id together', async () => {
      const p = fresh();
      await under.store.commit(request(p, 1n, 'c1', { a: '1' }));
      const found = { version: 1n, commitId: 'c1' };
      assert.deepEqual(await under.store.commit(request(p, 1n, 'x1', { a: 'x' })), { kind: 'conflict', found });
      assert.deepEqual(await under.store.commit(request(p, 3n, 'x3', { a: 'x' })), { kind: 'conflict', found });
      assert.deepEqual(await under.store.commit(request(p, 2n, 'x2', { a: 'x' }, [], 'another')), {
        kind: 'conflict',
        found,
      });
      assert.deepEqual(await under.store.commit(request(fresh(), 2n, 'c2', {})), {
        kind: 'conflict',
        found: undefined,
      });
      assert.deepEqual(texts((await under.store.load(p))!.blobs), { a: '1' });
    });

    test('a damaged blob of the newest commit brings back the checkpoint before it, exactly', async () => {
      const p = fresh();
      await under.store.commit(request(p, 1n, 'c1', { a: 'a1', b: 'b1', c: 'c1' }));
      await under.store.commit(request(p, 2n, 'c2', { a: 'a2', d: 'd2' }, ['b']));
      await under.damage(p, 'a');
      const loaded = await under.store.load(p);
      assert.equal(loaded!.fellBack, true);
      assert.deepEqual(texts(loaded!.blobs), { a: 'a1', b: 'b1', c: 'c1' });
      assert.deepEqual({ version: loaded!.head.version, id: loaded!.head.commitId }, { version: 1n, id: 'c1' });
      // What was fallen back to is the newest now: the next commit goes onto it.
      assert.deepEqual(await under.store.commit(request(p, 2n, 'd2', { a: 'again' })), { kind: 'committed' });
      assert.deepEqual(texts((await under.store.load(p))!.blobs), { a: 'again', b: 'b1', c: 'c1' });
    });

    test('a blob damaged in both checkpoints is named and absent', async () => {
      const p = fresh();
      await under.store.commit(request(p, 1n, 'c1', { a: 'a1', b: 'b1' }));
      await under.store.commit(request(p, 2n, 'c2', { b: 'b2' }));
      await under.store.commit(request(p, 3n, 'c3', { b: 'b3' }));
      await under.damage(p, 'a');
      let loaded = await under.store.load(p);
      // A store may keep a copy of its own for each checkpoint, or one for both.
      if (loaded!.fellBack) {
        await under.damage(p, 'a');
        loaded = await under.store.load(p);
      }
      assert.deepEqual(loaded!.damaged, ['a']);
      assert.equal(loaded!.blobs.has('a'), false);
      assert.equal(loaded!.names.includes('a'), false);
    });

    test('a reader sees head, names, digests and blobs of one version, or is told that it moved', async () => {
      const p = fresh();
      await under.store.commit(request(p, 1n, 'c1', { a: 'one', b: 'two' }));
      const view = await under.reader.view(p);
      assert.equal(view!.head.version, 1n);
      assert.deepEqual(view!.names.get('a'), { digest: blobDigest(bytes('one')), bytes: 3 });
      const blobs = await under.reader.blobs(p, 1n, ['b', 'nosuch', 'a']);
      assert.notEqual(blobs, 'moved');
      assert.deepEqual(
        (blobs as (Uint8Array | undefined)[]).map((b) => b && new TextDecoder().decode(b)),
        ['two', undefined, 'one'],
      );
      await under.store.commit(request(p, 2n, 'c2', { a: 'three' }));
      assert.equal(await under.reader.blobs(p, 1n, ['a']), 'moved');
      assert.deepEqual(
        [...(await under.reader.heads([p, fresh()]))].map(([q, h]) => [q, h.version]),
        [[p, 2n]],
      );
    });

    test('a reader gets no damaged blob', async () => {
      const p = fresh();
      await under.store.commit(request(p, 1n, 'c1', { a: 'one' }));
      await under.reader.view(p);
      await under.damage(p, 'a');
      assert.deepEqual(await under.reader.blobs(p, 1n, ['a']), [undefined]);
    });
  });
}
