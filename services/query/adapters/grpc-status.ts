/** Statuses of the transport itself, and what a call tells about its caller. */
import { Metadata } from '@grpc/grpc-js';
import { encodeRpcStatus, rpcCodes, statusTrailer, type RpcStatus } from '../../shared/contract/rpc-status.ts';

const simple = (code: RpcStatus['code'], reason: string, message: string, retryAfterMs?: number): RpcStatus => ({
  code,
  reason,
  message,
  metadata: {},
  violations: [],
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

export const cancelled = simple('CANCELLED', 'CANCELLED', 'the caller has gone');
export const tooSlow = (deadlineMs: number): RpcStatus =>
  simple(
    'DEADLINE_EXCEEDED',
    'DEADLINE',
    `the deadline has passed (at most ${deadlineMs / 1000} s); ask for a shorter range or fewer labels`,
  );
export const stopping = simple('UNAVAILABLE', 'STOPPING', 'the query service is stopping; call again', 1000);
export const tooOld = simple(
  'UNAVAILABLE',
  'CONNECTION_AGE',
  'this watch is as old as a connection may get; watch again',
  100,
);

/** As grpc-js takes a failure. */
export function toStatus(status: RpcStatus) {
  const metadata = new Metadata();
  metadata.set(statusTrailer, Buffer.from(encodeRpcStatus(status)));
  return { code: rpcCodes[status.code], details: status.message, metadata };
}

export function deadlineOf(call: { getDeadline(): Date | number }): number {
  const deadline = call.getDeadline();
  return deadline instanceof Date ? deadline.getTime() : deadline;
}

/** Whose limits a call counts against: the peer's address without its port; all of a Unix socket are one. */
export const callerOf = (call: { getPeer(): string }): string => call.getPeer().replace(/:\d+$/, '');
