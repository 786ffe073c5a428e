/** Streams that are not ours, of health and reflection, count against a limit too: grpc-js has none by caller. */
import { ServerInterceptingCall, ServerListenerBuilder, type ServerInterceptor } from '@grpc/grpc-js';
import type { RpcStatus } from '../../shared/contract/rpc-status.ts';
import type { Gate } from '../gate.ts';
import { callerOf, toStatus } from './grpc-status.ts';

/** `own`: paths of streams that count for themselves. */
export function limitStreams(
  gate: Gate,
  own: ReadonlySet<string>,
  statusOf: (error: unknown) => RpcStatus,
): ServerInterceptor {
  return (method, call) => {
    if (!method.responseStream || own.has(method.path)) return new ServerInterceptingCall(call);
    const caller = callerOf(call);
    let inside = false;
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next(
          new ServerListenerBuilder()
            .withOnReceiveMetadata((metadata, pass) => {
              try {
                gate.enter(caller);
              } catch (error) {
                return call.sendStatus(toStatus(statusOf(error)));
              }
              inside = true;
              pass(metadata);
            })
            // Of every call, however it ended.
            .withOnCancel(() => {
              if (inside) gate.leave(caller);
              inside = false;
            })
            .build(),
        ),
    });
  };
}
