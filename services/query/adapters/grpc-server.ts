/**
 * Serves the query methods, health and reflection with limits on everything a caller could exhaust. `answer` is the
 * core behind it: it gets the signal that the caller has gone or the deadline has passed.
 */
import { lstatSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import process from 'node:process';
import {
  logVerbosity,
  Metadata,
  Server,
  setLogVerbosity,
  type sendUnaryData,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { indexDescriptors } from '../../shared/contract/descriptors.ts';
import {
  deadlineMsMax,
  methodNames,
  requestBytesMax,
  serviceOf,
  type MethodName,
  type RequestOf,
  type ResponseOf,
} from '../../shared/contract/query.ts';
import { encodeRpcStatus, rpcCodes, statusTrailer, type RpcStatus } from '../../shared/contract/rpc-status.ts';
import { descriptorImage, serviceDefinition } from '../../shared/adapters/grpc-schema.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import { addReflection } from './grpc-reflection.ts';
import { noSecurity, type GrpcSecurity } from './grpc-security.ts';

export type Answer = <M extends MethodName>(
  method: M,
  request: RequestOf<M>,
  signal: AbortSignal,
) => Promise<ResponseOf<M>>;

/** Calls answered at once; more wait in their connection's flow control, then are refused. */
const callsMax = 256;

const options = {
  'grpc.max_receive_message_length': requestBytesMax,
  'grpc.max_send_message_length': 4 * 1024 * 1024,
  'grpc.max_concurrent_streams': 100,
  // Connections are renewed now and then, so that a load balancer can spread them anew.
  'grpc.max_connection_age_ms': 3_600_000,
  'grpc.max_connection_age_grace_ms': 30_000,
  'grpc.max_connection_idle_ms': 1_800_000,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc-node.max_session_memory': 16,
};

export interface GrpcServer {
  /** As asked for, with the port really bound. */
  readonly addresses: readonly string[];
  setServing(serving: boolean): void;
  /** Refuses new calls, waits for those under way, at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Listens on each address (HOST:PORT or unix:PATH). Throws MusterError config/address-in-use. */
export async function serveGrpc(
  listen: readonly string[],
  answer: Answer,
  statusOf: (error: unknown) => RpcStatus,
  onFailure: (method: string, error: unknown) => void,
  security: GrpcSecurity = noSecurity,
): Promise<GrpcServer> {
  // grpc-js writes to stderr on its own; what matters comes as an error or a status.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server(options);
  let calls = 0;
  for (const service of new Set(Object.values(serviceOf))) {
    const methods = methodNames.filter((m) => serviceOf[m] === service);
    server.addService(
      serviceDefinition(service) as never,
      Object.fromEntries(methods.map((m) => [m, handlerOf(m)])) as never,
    );
  }
  const names = ['', ...new Set(Object.values(serviceOf))];
  const health = new HealthImplementation(Object.fromEntries(names.map((n) => [n, 'NOT_SERVING'])) as never);
  health.addToServer(server as never);
  addReflection(server, indexDescriptors(descriptorImage()));
  const addresses: string[] = [];
  for (const address of listen) addresses.push(await bind(server, address, security));
  return {
    addresses,
    setServing: (serving) => names.forEach((n) => health.setStatus(n, serving ? 'SERVING' : 'NOT_SERVING')),
    close: (graceMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.forceShutdown(), graceMs);
        server.tryShutdown(() => {
          clearTimeout(timer);
          security.close();
          resolve();
        });
      }),
  };

  function handlerOf<M extends MethodName>(method: M) {
    return (call: ServerUnaryCall<RequestOf<M>, ResponseOf<M>>, done: sendUnaryData<ResponseOf<M>>): void => {
      const abort = new AbortController();
      // Whatever the caller allows, no call outlives our own maximum.
      const deadline = Math.min(deadlineOf(call), Date.now() + deadlineMsMax);
      const timer = setTimeout(() => abort.abort(), Math.max(0, deadline - Date.now()));
      call.on('cancelled', () => abort.abort());
      const end = (error: RpcStatus | undefined, reply?: ResponseOf<M>): void => {
        clearTimeout(timer);
        calls--;
        if (error) done(toStatus(error));
        else done(null, reply!);
      };
      if (++calls > callsMax) return end(overloaded);
      answer(method, call.request, abort.signal).then(
        (reply) => end(undefined, reply),
        (error: unknown) => {
          if (abort.signal.aborted) return end(call.cancelled ? cancelled : tooSlow);
          const status = statusOf(error);
          if (status.code === 'INTERNAL') onFailure(method, error);
          end(status);
        },
      );
    };
  }
}

function deadlineOf(call: { getDeadline(): Date | number }): number {
  const deadline = call.getDeadline();
  return deadline instanceof Date ? deadline.getTime() : deadline;
}

const simple = (code: RpcStatus['code'], reason: string, message: string): RpcStatus => ({
  code,
  reason,
  message,
  metadata: {},
  violations: [],
});
const cancelled = simple('CANCELLED', 'CANCELLED', 'the caller has gone');
const tooSlow = simple(
  'DEADLINE_EXCEEDED',
  'DEADLINE',
  `the deadline has passed (at most ${deadlineMsMax / 1000} s); ask for a shorter range or fewer labels`,
);
const overloaded: RpcStatus = {
  ...simple('RESOURCE_EXHAUSTED', 'TOO_MANY_CALLS', `more than ${callsMax} calls at once; try again`),
  retryAfterMs: 1000,
};

function toStatus(status: RpcStatus) {
  const metadata = new Metadata();
  metadata.set(statusTrailer, Buffer.from(encodeRpcStatus(status)));
  return { code: rpcCodes[status.code], details: status.message, metadata };
}

/** Binds one address; a Unix socket that a crash left behind is replaced. */
async function bind(server: Server, address: string, security: GrpcSecurity): Promise<string> {
  const path = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
  if (path !== undefined && lstatSync(path, { throwIfNoEntry: false })?.isSocket() && !(await answers(path))) {
    rmSync(path, { force: true });
  }
  return new Promise((resolve, reject) => {
    // A socket is for its owner and group from its first moment on.
    const mask = path === undefined ? undefined : process.umask(0o117);
    server.bindAsync(address, path === undefined ? security.network : security.local, (cause, port) => {
      if (mask !== undefined) process.umask(mask);
      if (!cause) resolve(path === undefined ? address.replace(/:\d+$/, `:${port}`) : address);
      else if (/EADDRINUSE/.test(cause.message)) {
        reject(new MusterError('config/address-in-use', `listen on ${address}: the address is in use`, { cause }));
      } else {
        const remedy = 'choose another --listen address';
        reject(new MusterError('config/invalid', `listen on ${address}: not possible`, { cause, remedy }));
      }
    });
  });
}

/** True when somebody accepts connections on a Unix socket. */
const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
