/** What any BatchSource must do. Run on the simulated stream and on nats-server. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { batchSubject, partitionOf } from '../../services/shared/contract/subjects.ts';
import type { BatchSource, ReceivedBatch } from '../../services/shared/runtime/ports/batch-source.ts';
import { until } from './servers.ts';

export interface SourceUnderTest {
  /** A new process on the same stream. */
  open(): Promise<BatchSource>;
  publish(subject: string, payload: Uint8Array): Promise<void>;
  /** Deletes the stream; the source makes it again. */
  deleteStream(): Promise<void>;
  /** Core messages told so far. */
  readonly heard: { readonly subject: string; readonly payload: Uint8Array }[];
  end(): Promise<void>;
}

const text = (m: ReceivedBatch): string => new TextDecoder().decode(m.payload);
const bytes = (s: string): Uint8Array => new TextEncoder().encode(s);

export function batchSourceContract(name: string, make: () => Promise<SourceUnderTest>, skip: string | false): void {
  describe(`batch source: ${name}`, { skip }, () => {
    let under: SourceUnderTest;
    let hosts = 0;
    before(async () => {
      under = await make();
    });
    after(() => under?.end());
    /** A host of a partition that no other test uses. */
    const used = new Set<number>();
    const freshHost = (): string => {
      for (;;) {
        const host = `host-${++hosts}`;
        if (used.has(partitionOf(host))) continue;
        used.add(partitionOf(host));
        return host;
      }
    };
    const collect = async (source: BatchSource, host: string): Promise<ReceivedBatch[]> => {
      const got: ReceivedBatch[] = [];
      await source.consume(partitionOf(host), (m) => got.push(m));
      return got;
    };

    test('delivers a partition in order, with position, time and identity', async () => {
      const source = await under.open();
      const identity = await source.streamIdentity();
      assert.equal(await source.streamIdentity(), identity);
      const host = freshHost();
      const got = await collect(source, host);
      await under.publish(batchSubject(freshHost()), bytes('of another partition'));
      for (let i = 0; i < 200; i++) await under.publish(batchSubject(host), bytes(`m${i}`));
      await until(() => {
        for (const m of got) m.ack();
        return got.length >= 200;
      });
      assert.deepEqual(
        got.map(text),
        Array.from({ length: 200 }, (_, i) => `m${i}`),
      );
      assert.ok(got.every((m, i) => i === 0 || m.sequence > got[i - 1]!.sequence));
      assert.ok(got.every((m) => m.subject === batchSubject(host) && m.streamIdentity === identity));
      assert.ok(got.every((m) => Math.abs(m.storedMs - Date.now()) < 60_000));
      await source.close();
    });

    test('gives again, at once, what a process that died did not acknowledge', async () => {
      const host = freshHost();
      const dying = await under.open();
      await dying.streamIdentity();
      const first = await collect(dying, host);
      for (const m of ['a', 'b', 'c']) await under.publish(batchSubject(host), bytes(m));
      await until(() => first.length === 3);
      first[1]!.ack();
      await dying.close();
      const next = await under.open();
      await next.streamIdentity();
      const again = await collect(next, host);
      await until(() => again.length === 2, 3_000);
      assert.deepEqual(again.map(text), ['a', 'c']);
      for (const m of again) m.ack();
      await next.close();
    });

    test('counts what is not acknowledged', async () => {
      const source = await under.open();
      await source.streamIdentity();
      const before = await source.unacknowledged();
      const host = freshHost();
      const got = await collect(source, host);
      await under.publish(batchSubject(host), bytes('x'));
      await until(() => got.length === 1);
      assert.equal(await source.unacknowledged(), before + 1);
      got[0]!.ack();
      await until(async () => (await source.unacknowledged()) === before);
      await source.close();
    });

    test('tells hosts', async () => {
      const source = await under.open();
      source.tell('muster.v1.resync.web-1', bytes('please'));
      await until(() => under.heard.some((h) => h.subject === 'muster.v1.resync.web-1'));
      await source.close();
    });

    test('goes on when the stream is deleted, under another identity', async () => {
      const source = await under.open();
      const identity = await source.streamIdentity();
      const host = freshHost();
      const got = await collect(source, host);
      await under.publish(batchSubject(host), bytes('before'));
      await until(() => got.length === 1);
      await under.deleteStream();
      // A message that meets the deletion itself gets no answer: its own wait of five seconds has to pass.
      await until(
        () =>
          under.publish(batchSubject(host), bytes('after')).then(
            () => true,
            () => false,
          ),
        20_000,
      );
      await until(() => got.some((m) => text(m) === 'after'), 20_000);
      assert.notEqual(got.at(-1)!.streamIdentity, identity);
      await source.close();
    });
  });
}
