/**
 * The stream as agents and aggregators see it: stored once per message id within a window, delivered in order and
 * again until acknowledged, gone when acknowledged, bounded, and able to be purged, made anew or damaged.
 */
export interface StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  payload: Uint8Array;
  readonly storedUs: number;
  /** When it was last handed to a consumer; undefined: not yet, or given back. */
  deliveredUs: number | undefined;
}

export type StoreOutcome = 'stored' | 'duplicate' | 'full';

const dedupWindowUs = 120_000_000;
const ackWaitUs = 8_000_000;
const inFlightMax = 64;

export class SimStream {
  identity: string;
  messagesMax = 400;
  private readonly byPartition = new Map<number, Map<number, StoredMessage>>();
  private readonly seen = new Map<string, number>();
  private last = 0;
  private lives = 0;
  stored = 0;

  constructor() {
    this.identity = 'stream-0';
  }

  get size(): number {
    let n = 0;
    for (const messages of this.byPartition.values()) n += messages.size;
    return n;
  }

  messages(partition: number): Map<number, StoredMessage> {
    let messages = this.byPartition.get(partition);
    if (!messages) this.byPartition.set(partition, (messages = new Map()));
    return messages;
  }

  store(subject: string, id: string, payload: Uint8Array, nowUs: number): StoreOutcome {
    const before = this.seen.get(id);
    if (before !== undefined && nowUs - before < dedupWindowUs) return 'duplicate';
    if (this.size >= this.messagesMax) return 'full';
    this.seen.set(id, nowUs);
    const sequence = ++this.last;
    this.messages(Number(subject.split('.')[3])).set(sequence, {
      sequence,
      subject,
      payload,
      storedUs: nowUs,
      deliveredUs: undefined,
    });
    this.stored++;
    return 'stored';
  }

  /** Hands out what a consumer may have now, oldest first. */
  deliver(partition: number, nowUs: number): StoredMessage[] {
    const out: StoredMessage[] = [];
    let inFlight = 0;
    for (const m of this.messages(partition).values()) {
      if (inFlight >= inFlightMax) break;
      inFlight++;
      if (m.deliveredUs !== undefined && nowUs - m.deliveredUs < ackWaitUs) continue;
      m.deliveredUs = nowUs;
      out.push(m);
    }
    return out;
  }

  /** Where an acknowledgement names a message of an earlier life of the stream, it is of another consumer: no effect. */
  ack(identity: string, partition: number, sequence: number): void {
    if (identity === this.identity) this.messages(partition).delete(sequence);
  }

  /** A consumer that starts gets everything again that is not acknowledged. */
  giveBack(partition: number): void {
    for (const m of this.messages(partition).values()) m.deliveredUs = undefined;
  }

  purge(): void {
    this.byPartition.clear();
  }

  /** Deleted and made again: starts at 1, remembers no id. */
  recreate(): void {
    this.purge();
    this.seen.clear();
    this.last = 0;
    this.identity = `stream-${++this.lives}`;
  }

  /** The server restarts after a kill: what is stored stays, the dedup window may not. */
  restart(): void {
    this.seen.clear();
  }

  /** The server comes back with an older end of its file: what was stored since is gone, and its numbers come again. */
  truncate(): boolean {
    const all = this.all().sort((a, b) => b.sequence - a.sequence);
    const gone = all.slice(0, Math.ceil(all.length / 2));
    for (const m of gone) this.drop(m);
    this.last = (gone.at(-1)?.sequence ?? this.last + 1) - 1;
    this.seen.clear();
    return gone.length > 0;
  }

  /** When the oldest message was stored that nobody has acknowledged. */
  get oldestUs(): number {
    return this.all().reduce((oldest, m) => Math.min(oldest, m.storedUs), Infinity);
  }

  /** Every stored message, for damage. */
  all(): StoredMessage[] {
    return [...this.byPartition.values()].flatMap((messages) => [...messages.values()]);
  }

  drop(message: StoredMessage): void {
    for (const messages of this.byPartition.values())
      if (messages.get(message.sequence) === message) messages.delete(message.sequence);
  }
}
