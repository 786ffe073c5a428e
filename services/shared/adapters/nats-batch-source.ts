/**
 * Port BatchSource on NATS JetStream: one pull at a time per partition, bounded in bytes, so that all partitions
 * together stay well below what makes nats-server drop a slow reader. Stream and consumers that vanish are made anew;
 * a message says which life of the stream it is of. Idle, a partition costs two messages a minute.
 */
import { createInbox, type Msg, type NatsConnection, type Subscription } from 'nats';
import { partitionCount, streamName } from '../contract/subjects.ts';
import { describeCause } from '../runtime/errors.ts';
import type { BatchSource, ReceivedBatch } from '../runtime/ports/batch-source.ts';
import { newConsumption, type Consumption } from './nats-consumption.ts';
import { inboxPrefix, keepConnected, type NatsLink, type NatsOptions } from './nats-connection.ts';
import { translate } from './nats-errors.ts';
import { StallWatch } from './nats-stall.ts';
import {
  clearStream,
  consumerOf,
  ensureConsumer,
  ensureStream,
  type StreamPlacement,
  parseReply,
  partitionOfReply,
  streamPosition,
  unacknowledgedIn,
  unacknowledgedMax,
} from './nats-stream.ts';

export interface NatsBatchSource extends BatchSource {
  /** Resolves when the server was reached for the first time; rejects with bus/refused or bus/no-jetstream. */
  readonly ready: Promise<void>;
}

const pullMessages = 64;
/** Bytes of one pull: a batch and its headers fit (batchBytesMax). All partitions at once: 36 MiB of the 64 MiB that stall. */
const pullBytes = 576 * 1024;
/** A message that fits no ordinary pull is poison, and must come out all the same. */
const pullBytesLarge = 64 * 1024 * 1024;
const pullExpiresMs = 60_000;
/** A pull that is alive says so this often; one that was never heard by its consumer's server does not. */
const pullBeatMs = 5_000;
const tendEveryMs = 500;
/** While nothing comes the stream is looked at so often; what came in and is not out after so long never will be. */
const [lookEveryMs, stallMs] = [1_500, 3_000];
const answers = { ack: new TextEncoder().encode('+ACK'), giveBack: new TextEncoder().encode('-NAK') };

export function createNatsBatchSource(options: NatsOptions & Partial<StreamPlacement>): NatsBatchSource {
  return new Source(options);
}

class Source implements NatsBatchSource {
  readonly ready: Promise<void>;
  private readonly link: NatsLink;
  private readonly consumptions = new Map<number, Consumption>();
  private readonly timer: NodeJS.Timeout;
  private connection: NatsConnection | undefined;
  private inbox = '';
  private readonly watch = new StallWatch(stallMs);
  private identity: string | undefined;
  private heardMs = 0;
  private tending = false;
  private closed = false;

  constructor(private readonly options: NatsOptions & Partial<StreamPlacement>) {
    this.link = keepConnected(options);
    this.ready = this.link.ready;
    this.link.each((connection) => this.use(connection));
    this.link.onDown(() => this.forget());
    this.timer = setInterval(() => void this.tend(), tendEveryMs);
  }

  async streamIdentity(): Promise<string> {
    try {
      return (this.identity = await ensureStream(this.link.require(), this.options));
    } catch (cause) {
      throw translate('open the stream', cause);
    }
  }

  async consume(partition: number, deliver: (message: ReceivedBatch) => void): Promise<void> {
    const c = newConsumption(partition, deliver);
    this.consumptions.set(partition, c);
    await this.begin(c);
  }

  release(partition: number): void {
    this.consumptions.delete(partition);
  }

  tell(subject: string, payload: Uint8Array): void {
    try {
      this.link.require().publish(subject, payload);
    } catch (cause) {
      this.options.log.debug({ subject, reason: describeCause(cause) }, 'message not sent');
    }
  }

  async unacknowledged(): Promise<number> {
    try {
      return await unacknowledgedIn(this.link.require());
    } catch (cause) {
      throw translate('look at the stream', cause);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    // Acknowledgements that are written but not sent yet must leave.
    await this.connection?.flush().catch(() => undefined);
    await this.link.close();
  }

  /** A new connection: one subscription takes the answers to all pulls. */
  private use(connection: NatsConnection): void {
    this.connection = connection;
    this.inbox = createInbox(inboxPrefix(this.options));
    const subscription: Subscription = connection.subscribe(`${this.inbox}.*`, {
      callback: (error, message) => {
        if (!error) this.receive(message, subscription);
      },
    });
    this.forget();
  }

  /** Pulls and consumers may be gone: look at all again. */
  private forget(): void {
    for (const c of this.consumptions.values()) {
      c.ready = c.pulling = false;
      c.held = 0;
    }
    this.watch.reset();
  }

  /** Makes the consumer and pulls. Rejects when it cannot; tend() tries again. */
  private async begin(c: Consumption): Promise<void> {
    try {
      const connection = this.link.require();
      const identity = await ensureStream(connection, this.options);
      if (this.identity !== undefined && identity !== this.identity)
        this.options.log.warn({ stream: streamName, was: this.identity, is: identity }, 'the stream was made again');
      this.identity = identity;
      // Released meanwhile: whoever has the partition now has its consumer, too.
      if (this.consumptions.get(c.partition) !== c) return;
      await ensureConsumer(connection, c.partition, !c.made);
      if (connection !== this.connection) return;
      c.made = c.ready = true;
      c.failing = false;
      if (!c.pulling) this.pull(c);
    } catch (cause) {
      throw translate(`consume partition ${c.partition}`, cause);
    }
  }

  private pull(c: Consumption): void {
    if (this.closed || !this.connection || this.consumptions.get(c.partition) !== c) return;
    c.pulling = true;
    c.pulledMs = performance.now();
    c.got = 0;
    c.asked = c.large ? 1 : pullMessages;
    const request = JSON.stringify({
      batch: c.asked,
      max_bytes: c.large ? pullBytesLarge : pullBytes,
      expires: pullExpiresMs * 1_000_000,
      idle_heartbeat: pullBeatMs * 1_000_000,
    });
    c.large = false;
    try {
      this.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${streamName}.${consumerOf(c.partition)}`, request, {
        reply: `${this.inbox}.${c.partition}`,
      });
    } catch {
      c.pulling = false;
    }
  }

  private receive(message: Msg, subscription: Subscription): void {
    const code = message.headers?.code ?? 0;
    if (message.subject.startsWith(`${this.inbox}.`) && code > 0) {
      const c = this.consumptions.get(Number(message.subject.slice(this.inbox.length + 1)));
      if (c) this.ended(c, code, message.headers!.description);
      return;
    }
    const position = message.reply === undefined ? undefined : parseReply(message.reply);
    const c = this.consumptions.get(partitionOfReply(message.reply ?? ''));
    if (!position || subscription.isClosed()) return;
    const reply = message.reply!;
    if (!c) return this.answer(reply, answers.giveBack);
    c.got++;
    c.held++;
    this.heardMs = c.pulledMs = performance.now();
    this.watch.reset();
    let held = 1;
    c.deliver({
      subject: message.subject,
      payload: message.data,
      sequence: position.sequence,
      storedMs: position.storedMs,
      streamIdentity: this.identity ?? '',
      ack: () => {
        c.held -= held;
        held = 0;
        this.answer(reply, answers.ack);
      },
      giveBack: () => this.answer(reply, answers.giveBack),
    });
    if (c.got >= c.asked) this.pull(c);
  }

  private answer(reply: string, word: Uint8Array): void {
    try {
      this.link.require().publish(reply, word);
    } catch {
      // The message comes again by itself, and counts nothing again.
    }
  }

  /** A pull ended with less than it asked for: 404 none, 408 expired, 409 with a reason. */
  private ended(c: Consumption, code: number, description: string): void {
    c.pulledMs = performance.now();
    if (code === 100) return;
    if (code === 409 && /exceed/i.test(description) && /bytes/i.test(description)) c.large = c.got === 0;
    else if (code !== 404 && code !== 408) c.ready = false;
    c.pulling = false;
    if (c.ready) this.pull(c);
  }

  /** Brings back what fell asleep: pulls whose end was never heard of, consumers and streams that vanished. */
  private async tend(): Promise<void> {
    if (this.tending || this.closed) return;
    this.tending = true;
    try {
      for (const c of this.consumptions.values()) {
        const overdue = c.pulling && performance.now() - c.pulledMs > 2 * pullBeatMs + 2_000;
        if (overdue) c.ready = c.pulling = false;
        if (c.ready && c.pulling) continue;
        await this.begin(c).catch((cause: unknown) => {
          if (!c.failing)
            this.options.log.debug(
              { partition: c.partition, reason: describeCause(cause) },
              'cannot consume; trying on',
            );
          c.failing = true;
        });
      }
      await this.lookForStall();
    } finally {
      this.tending = false;
    }
  }

  /** Everything is asked for and could be had, messages come in, and none comes out: the stream is begun anew. */
  private async lookForStall(): Promise<void> {
    const now = performance.now();
    if (now - this.heardMs < lookEveryMs) return;
    this.heardMs = now;
    const all = [...this.consumptions.values()];
    if (all.length < partitionCount || !all.every((c) => c.ready && c.pulling && c.held < unacknowledgedMax)) {
      this.watch.reset();
      return;
    }
    try {
      const connection = this.link.require();
      const { messages, last } = await streamPosition(connection);
      // What was delivered during the question has reset the watch; an old position must not start it.
      if (this.heardMs !== now || !this.watch.look(performance.now(), messages, last)) return;
      this.options.log.error(
        { alarm: true, stream: streamName, messages },
        'the bus holds messages that it cannot deliver: the stream is cleared, and hosts repeat what is missing',
      );
      await clearStream(connection);
      for (const c of all) c.made = false;
      this.forget();
    } catch (cause) {
      this.options.log.debug({ reason: describeCause(cause) }, 'cannot look at the stream; trying on');
    }
  }
}
