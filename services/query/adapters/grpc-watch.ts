/** QueryService/Watch on a call: from the request to a sink, and from any of its ends to one status. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { WatchRequest } from '../../shared/contract/query.ts';
import type { RpcStatus } from '../../shared/contract/rpc-status.ts';
import type { Gate } from '../gate.ts';
import type { Limits } from '../limits.ts';
import type { Update } from '../watches.ts';
import { callerOf, tooOld, tooSlow, toStatus } from './grpc-status.ts';
import type { WatchDriver } from './watch-driver.ts';

export interface WatchParts {
  readonly driver: WatchDriver;
  readonly gate: Gate;
  readonly limits: Limits;
  readonly statusOf: (error: unknown) => RpcStatus;
  readonly onFailure: (method: string, error: unknown) => void;
}

/** Ends a watch with this status instead of asking statusOf. */
export class WatchEnd extends Error {
  constructor(readonly status: RpcStatus) {
    super(status.message);
  }
}

export function watchHandler({ driver, gate, limits, statusOf, onFailure }: WatchParts) {
  return (call: ServerWritableStream<WatchRequest, Update>): void => {
    const caller = callerOf(call);
    let close: (() => void) | undefined;
    let entered = false;
    let ended = false;
    let age: NodeJS.Timeout | undefined;
    const leave = (): void => {
      ended = true;
      clearTimeout(age);
      close?.();
      if (entered) gate.leave(caller);
      entered = false;
    };
    const statusFor = (error: unknown): RpcStatus => {
      if (error instanceof WatchEnd) return error.status;
      if (error instanceof DOMException && error.name === 'TimeoutError') return tooSlow(limits.deadlineMs);
      const status = statusOf(error);
      if (status.code === 'INTERNAL') onFailure('Watch', error);
      return status;
    };
    const fail = (error: unknown): void => {
      if (ended) return;
      leave();
      // Errors end the stream's side of grpc-js with this status.
      call.emit('error', toStatus(statusFor(error)));
    };
    // The caller went, its deadline passed, or its connection is gone.
    call.on('cancelled', leave);
    try {
      gate.enter(caller);
      entered = true;
      close = driver.open(call.request, {
        fail,
        // Called when the bytes have left: the flow control of the other side, not a buffer of ours, paces a stream.
        write: (update, sent) => void call.write(update, () => sent()),
      });
      age = setTimeout(() => fail(new WatchEnd(tooOld)), limits.connectionAgeMs);
    } catch (error) {
      fail(error);
    }
  };
}
