/** What nats-batch-source.ts knows of the consumption of one partition. */
import type { ReceivedBatch } from '../runtime/ports/batch-source.ts';

export interface Consumption {
  readonly partition: number;
  readonly deliver: (message: ReceivedBatch) => void;
  /** False until the consumer was made, and again when it may be gone. */
  ready: boolean;
  /** Made by this process before: what it holds is ours. */
  made: boolean;
  pulling: boolean;
  pulledMs: number;
  asked: number;
  got: number;
  /** Delivered and not acknowledged. */
  held: number;
  large: boolean;
  failing: boolean;
}

export const newConsumption = (partition: number, deliver: (message: ReceivedBatch) => void): Consumption => ({
  partition,
  deliver,
  ready: false,
  made: false,
  pulling: false,
  pulledMs: 0,
  asked: 0,
  got: 0,
  held: 0,
  large: false,
  failing: false,
});
