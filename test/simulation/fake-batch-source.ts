/** The port BatchSource on the simulation's stream, for what runs in real time. */
import type { BatchSource, ReceivedBatch } from '../../services/shared/runtime/ports/batch-source.ts';
import type { SimStream } from './bus.ts';

export interface Told {
  readonly subject: string;
  readonly payload: Uint8Array;
}

const nowUs = (): number => Date.now() * 1000;

export function createFakeBatchSource(stream: SimStream, told: Told[]): BatchSource {
  const consumers = new Map<number, (message: ReceivedBatch) => void>();
  let closed = false;
  const pump = (): void => {
    if (closed) return;
    for (const [partition, deliver] of consumers) {
      const { identity } = stream;
      for (const m of stream.deliver(partition, nowUs())) {
        deliver({
          subject: m.subject,
          payload: m.payload,
          sequence: BigInt(m.sequence),
          storedMs: m.storedUs / 1000,
          streamIdentity: identity,
          ack: () => stream.ack(identity, partition, m.sequence),
        });
      }
    }
  };
  const timer = setInterval(pump, 5);
  return {
    streamIdentity: () => Promise.resolve(stream.identity),
    consume: (partition, deliver) => {
      stream.giveBack(partition);
      consumers.set(partition, deliver);
      return Promise.resolve();
    },
    release: (partition) => void consumers.delete(partition),
    tell: (subject, payload) => void told.push({ subject, payload }),
    unacknowledged: () => Promise.resolve(stream.size),
    close: () => {
      closed = true;
      clearInterval(timer);
      return Promise.resolve();
    },
  };
}
