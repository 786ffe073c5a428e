/** Port: the bus as an aggregator uses it. Real: adapters/nats-batch-source.ts. Fake: test/simulation. */
export interface ReceivedBatch {
  readonly subject: string;
  readonly payload: Uint8Array;
  /** Position in the stream; grows, with gaps, per partition. */
  readonly sequence: bigint;
  /** Which life of the stream: sequences of two lives are not comparable. */
  readonly streamIdentity: string;
  /** When the stream stored it, Unix ms by the bus's clock: tells a late message from a host whose clock is off. */
  readonly storedMs: number;
  /** Tells the stream that this message is durable elsewhere and may go. */
  ack(): void;
  /** Gives the message back: it is delivered again at once, to whoever consumes the partition then. */
  giveBack?(): void;
}

export interface BatchSource {
  /** Identity of the stream: changes when it is deleted and made again. Creates the stream if it is absent. */
  streamIdentity(): Promise<string>;
  /** Delivers a partition's messages in order, again after a crash until acknowledged. Bounded in flight. */
  consume(partition: number, deliver: (message: ReceivedBatch) => void): Promise<void>;
  /** Stops delivering a partition's messages. What the stream had begun to deliver is given back. */
  release(partition: number): void;
  /** Sends a core message to a host: at most once, nobody need listen. */
  tell(subject: string, payload: Uint8Array): void;
  /** Messages in the stream that are not acknowledged yet, of all partitions. */
  unacknowledged(): Promise<number>;
  close(): Promise<void>;
}
