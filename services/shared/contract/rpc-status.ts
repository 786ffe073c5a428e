/**
 * The error of a call: a gRPC code, a message that carries the fix, and google.rpc details as the bytes of the trailer
 * `grpc-status-details-bin` (proto/google/rpc). The server encodes, clients decode.
 */
import { BadRequest, ErrorInfo, RetryInfo } from './gen/google/rpc/error_details.ts';
import { Status } from './gen/google/rpc/status.ts';

/** gRPC status codes. */
export const rpcCodes = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type RpcCode = keyof typeof rpcCodes;

export const rpcCodeName = (code: number): RpcCode =>
  (Object.keys(rpcCodes) as RpcCode[]).find((name) => rpcCodes[name] === code) ?? 'UNKNOWN';

export const statusTrailer = 'grpc-status-details-bin';
export const errorDomain = 'muster';

/** Everything an error tells a caller. */
export interface RpcStatus {
  readonly code: RpcCode;
  /** What is wrong and how to put it right. */
  readonly message: string;
  /** Stable name of the cause, e.g. "UNKNOWN_METRIC"; empty when the server sent no details. */
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Fields of the request that must change. */
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  /** When the same call may be tried again. */
  readonly retryAfterMs?: number;
}

const typeUrl = (name: string): string => `type.googleapis.com/google.rpc.${name}`;

/** Bytes of google.rpc.Status. */
export function encodeRpcStatus(s: RpcStatus): Uint8Array {
  const details = [
    {
      typeUrl: typeUrl('ErrorInfo'),
      value: ErrorInfo.encode({ reason: s.reason, domain: errorDomain, metadata: { ...s.metadata } }).finish(),
    },
  ];
  if (s.violations.length > 0) {
    details.push({
      typeUrl: typeUrl('BadRequest'),
      value: BadRequest.encode({ fieldViolations: s.violations.map((v) => ({ ...v })) }).finish(),
    });
  }
  if (s.retryAfterMs !== undefined) {
    const retryDelay = { seconds: BigInt(Math.floor(s.retryAfterMs / 1000)), nanos: (s.retryAfterMs % 1000) * 1e6 };
    details.push({ typeUrl: typeUrl('RetryInfo'), value: RetryInfo.encode({ retryDelay }).finish() });
  }
  return Status.encode({ code: rpcCodes[s.code], message: s.message, details }).finish();
}

/** Reads what encodeRpcStatus wrote; unknown details are passed over. `code` and `message` stand when bytes are absent or broken. */
export function decodeRpcStatus(code: number, message: string, bytes: Uint8Array | undefined): RpcStatus {
  const found = {
    code: rpcCodeName(code),
    message,
    reason: '',
    metadata: {} as Record<string, string>,
    violations: [] as { field: string; description: string }[],
  };
  if (!bytes) return found;
  try {
    let retryAfterMs: number | undefined;
    for (const any of Status.decode(bytes).details) {
      if (any.typeUrl === typeUrl('ErrorInfo')) {
        const info = ErrorInfo.decode(any.value);
        found.reason = info.reason;
        found.metadata = info.metadata;
      } else if (any.typeUrl === typeUrl('BadRequest')) found.violations = BadRequest.decode(any.value).fieldViolations;
      else if (any.typeUrl === typeUrl('RetryInfo')) {
        const delay = RetryInfo.decode(any.value).retryDelay;
        if (delay) retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
      }
    }
    return retryAfterMs === undefined ? found : { ...found, retryAfterMs };
  } catch {
    return found;
  }
}
