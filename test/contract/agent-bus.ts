/** The contract of the AgentBus port, run on the fake and on a real nats-server: what an agent may rely on. */
import { test, type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError, type ErrorCode } from '../../services/shared/runtime/errors.ts';
import type { AgentBus } from '../../services/shared/runtime/ports/agent-bus.ts';
import { batchSubject, resyncSubject } from '../../services/shared/contract/subjects.ts';

/** A bus with the switches that a test needs. The stream does not exist at first. */
export interface BusUnderTest {
  readonly bus: AgentBus;
  /** Makes the stream, with room for about so many bytes. */
  createStream(bytesMax?: number): Promise<void>;
  /** Payloads that the stream holds, in order. */
  stored(): Promise<Uint8Array[]>;
  /** Sends a core message, as the aggregator does. */
  tell(subject: string, payload: Uint8Array): Promise<void>;
  /** The bus goes away, and comes back with what it had stored. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

const subject = batchSubject('web-1.example');
const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const codeOf = async (attempt: Promise<unknown>): Promise<ErrorCode | 'ok'> => {
  try {
    await attempt;
    return 'ok';
  } catch (error) {
    assert.ok(error instanceof MusterError, `a MusterError, not ${String(error)}`);
    return error.code;
  }
};

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 15_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, `not within 15 s: ${what}`);
    await sleep(20);
  }
}

export function agentBusContract(name: string, open: (t: TestContext) => Promise<BusUnderTest | undefined>): void {
  const contract = (what: string, body: (b: BusUnderTest) => Promise<void>): void => {
    test(`AgentBus on ${name}: ${what}`, async (t) => {
      const opened = await open(t);
      if (!opened) return;
      try {
        await body(opened);
      } finally {
        await opened.close();
      }
    });
  };

  contract('a publish resolves when the stream has the message', async (b) => {
    await b.createStream();
    await Promise.all(['a', 'b', 'c'].map((s) => b.bus.publish(subject, `id-${s}`, text(s))));
    assert.deepEqual((await b.stored()).map((p) => new TextDecoder().decode(p)).sort(), ['a', 'b', 'c']);
  });

  contract('a repeat under one id is confirmed and stored once; another id is another message', async (b) => {
    await b.createStream();
    for (const id of ['1', '1', '2']) await b.bus.publish(subject, id, text('same'));
    assert.equal((await b.stored()).length, 2);
  });

  contract('512 KiB pass unchanged', async (b) => {
    await b.createStream();
    const payload = Uint8Array.from({ length: 512 * 1024 }, (_, i) => (i * 31) & 0xff);
    await b.bus.publish(subject, 'large', payload);
    const [stored] = await b.stored();
    assert.deepEqual(Buffer.from(stored!), Buffer.from(payload));
  });

  contract('without a stream a publish fails as bus/publish, and works once there is one', async (b) => {
    assert.equal(await codeOf(b.bus.publish(subject, '1', text('early'))), 'bus/publish');
    await b.createStream();
    assert.equal(await codeOf(b.bus.publish(subject, '2', text('later'))), 'ok');
    assert.equal((await b.stored()).length, 1);
  });

  contract('a full stream refuses as bus/stream-full and keeps what it has', async (b) => {
    await b.createStream(64 * 1024);
    const codes: string[] = [];
    for (let i = 0; i < 8; i++)
      codes.push(await codeOf(b.bus.publish(subject, `${i}`, new Uint8Array(16 * 1024).fill(i))));
    assert.equal(codes[0], 'ok');
    assert.equal(codes.at(-1), 'bus/stream-full');
    const stored = await b.stored();
    assert.equal(stored.length, codes.filter((c) => c === 'ok').length);
    assert.equal(stored[0]![0], 0, 'the oldest stays');
  });

  contract('messages to this host arrive', async (b) => {
    const got: string[] = [];
    b.bus.subscribe(resyncSubject('web-1.example'), (payload) => got.push(new TextDecoder().decode(payload)));
    await until('a message arrives', async () => {
      await b.tell(resyncSubject('other'), text('not mine'));
      await b.tell(resyncSubject('web-1.example'), text('mine'));
      await sleep(5);
      return got.length > 0;
    });
    assert.ok(
      got.every((s) => s === 'mine'),
      'nothing for others',
    );
  });

  contract('while the bus is away a publish fails as bus/unreachable; it works again by itself', async (b) => {
    await b.createStream();
    await b.bus.publish(subject, 'before', text('before'));
    const got: string[] = [];
    b.bus.subscribe(resyncSubject('web-1.example'), (payload) => got.push(new TextDecoder().decode(payload)));
    await b.down();
    await until(
      'publishing fails at once',
      async () => (await codeOf(b.bus.publish(subject, 'during', text('during')))) === 'bus/unreachable',
    );
    await b.up();
    let n = 0;
    await until(
      'publishing works',
      async () => (await codeOf(b.bus.publish(subject, `after-${n++}`, text('after')))) === 'ok',
    );
    await until('messages arrive again', async () => {
      await b.tell(resyncSubject('web-1.example'), text('again'));
      await sleep(5);
      return got.length > 0;
    });
    const stored = (await b.stored()).map((p) => new TextDecoder().decode(p));
    assert.equal(stored.filter((s) => s === 'before').length, 1);
    assert.equal(stored.filter((s) => s === 'after').length, 1);
  });

  contract('what is in flight when the bus goes away is settled, not left open', async (b) => {
    await b.createStream();
    const open = Array.from({ length: 4 }, (_, i) =>
      codeOf(b.bus.publish(subject, `${i}`, new Uint8Array(256 * 1024))),
    );
    await b.down();
    const began = performance.now();
    for (const code of await Promise.all(open))
      assert.ok(['ok', 'bus/unreachable', 'bus/publish'].includes(code), code);
    assert.ok(performance.now() - began < 6000, 'soon');
    await b.up();
  });

  contract('after close a publish fails and nothing keeps the process', async (b) => {
    await b.createStream();
    await b.bus.close();
    assert.equal(await codeOf(b.bus.publish(subject, '1', text('late'))), 'bus/unreachable');
  });
}
