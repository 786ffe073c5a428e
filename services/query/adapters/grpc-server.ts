/**
 * Serves the query methods, health and reflection with limits on everything a caller could exhaust. `answer` is the
 * core behind it: it gets the signal that the caller has gone or the deadline has passed.
 */
import { lstatSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import process from 'node:process';
import { logVerbosity, Server, setLogVerbosity, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import type { MethodDefinition, ServiceDefinition } from '@grpc/proto-loader';
import { HealthImplementation } from 'grpc-health-check';
import { indexDescriptors } from '../../shared/contract/descriptors.ts';
import {
  methodNames,
  requestBytesMax,
  serviceOf,
  streamServiceOf,
  type MethodName,
  type RequestOf,
  type ResponseOf,
} from '../../shared/contract/query.ts';
import type { RpcStatus } from '../../shared/contract/rpc-status.ts';
import { descriptorImage, serviceDefinition, type ServiceName } from '../../shared/adapters/grpc-schema.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { Gate } from '../gate.ts';
import type { Limits } from '../limits.ts';
import type { Update } from '../watches.ts';
import { addReflection } from './grpc-reflection.ts';
import { noSecurity, type GrpcSecurity } from './grpc-security.ts';
import { callerOf, cancelled, deadlineOf, stopping, tooSlow, toStatus } from './grpc-status.ts';
import { limitStreams } from './grpc-stream-limit.ts';
import { watchHandler, WatchEnd } from './grpc-watch.ts';
import type { WatchDriver } from './watch-driver.ts';

export type Answer = <M extends MethodName>(
  method: M,
  request: RequestOf<M>,
  signal: AbortSignal,
) => Promise<ResponseOf<M>>;

const options = (limits: Limits) => ({
  'grpc.max_receive_message_length': requestBytesMax,
  'grpc.max_send_message_length': 4 * 1024 * 1024,
  'grpc.max_concurrent_streams': 100,
  // Connections are renewed now and then, so that a load balancer can spread them anew. A watch is no older than that.
  'grpc.max_connection_age_ms': limits.connectionAgeMs,
  'grpc.max_connection_age_grace_ms': limits.connectionAgeMs + 30_000,
  'grpc.max_connection_idle_ms': 1_800_000,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc-node.max_session_memory': 16,
});

export interface ServeOptions {
  /** HOST:PORT or unix:PATH. */
  readonly listen: readonly string[];
  readonly answer: Answer;
  readonly watch: WatchDriver;
  readonly gates: { readonly calls: Gate; readonly watches: Gate };
  readonly limits: Limits;
  readonly statusOf: (error: unknown) => RpcStatus;
  /** A failure of ours: the caller learns nothing of it. */
  readonly onFailure: (method: string, error: unknown) => void;
  readonly security?: GrpcSecurity | undefined;
}

export interface GrpcServer {
  /** As asked for, with the port really bound. */
  readonly addresses: readonly string[];
  setServing(serving: boolean): void;
  /** Refuses new calls, waits for those under way, at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Listens on each address. Throws MusterError config/address-in-use. */
export async function serveGrpc(serve: ServeOptions): Promise<GrpcServer> {
  const { answer, watch, gates, limits, statusOf, onFailure, security = noSecurity } = serve;
  // grpc-js writes to stderr on its own; what matters comes as an error or a status.
  setLogVerbosity(logVerbosity.NONE);
  const own = new Set(Object.entries(streamServiceOf).map(([method, service]) => `/${service}/${method}`));
  const server = new Server({ ...options(limits), interceptors: [limitStreams(gates.watches, own, statusOf)] });
  const services = [...new Set<ServiceName>(Object.values(serviceOf))];
  for (const service of services) {
    const methods = methodNames.filter((m) => serviceOf[m] === service);
    const handlers: Record<string, unknown> = Object.fromEntries(methods.map((m) => [m, handlerOf(m)]));
    if (service === streamServiceOf.Watch)
      handlers['Watch'] = watchHandler({ driver: watch, gate: gates.watches, limits, statusOf, onFailure });
    server.addService(sharingUpdates(serviceDefinition(service)) as never, handlers as never);
  }
  const names = ['', ...services];
  const health = new HealthImplementation(Object.fromEntries(names.map((n) => [n, 'NOT_SERVING'])) as never);
  health.addToServer(server as never);
  addReflection(server, indexDescriptors(descriptorImage()));
  const addresses: string[] = [];
  for (const address of serve.listen) addresses.push(await bind(server, address, security));
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
        watch.close(new WatchEnd(stopping));
      }),
  };

  function handlerOf<M extends MethodName>(method: M) {
    return (call: ServerUnaryCall<RequestOf<M>, ResponseOf<M>>, done: sendUnaryData<ResponseOf<M>>): void => {
      const caller = callerOf(call);
      try {
        gates.calls.enter(caller);
      } catch (error) {
        return done(toStatus(statusOf(error)));
      }
      const abort = new AbortController();
      // Whatever the caller allows, no call outlives our own maximum.
      const deadline = Math.min(deadlineOf(call), Date.now() + limits.deadlineMs);
      const timer = setTimeout(() => abort.abort(), Math.max(0, deadline - Date.now()));
      call.on('cancelled', () => abort.abort());
      const end = (error: RpcStatus | undefined, reply?: ResponseOf<M>): void => {
        clearTimeout(timer);
        gates.calls.leave(caller);
        if (error) done(toStatus(error));
        else done(null, reply!);
      };
      answer(method, call.request, abort.signal).then(
        (reply) => end(undefined, reply),
        (error: unknown) => {
          if (abort.signal.aborted) return end(call.cancelled ? cancelled : tooSlow(limits.deadlineMs));
          const status = statusOf(error);
          if (status.code === 'INTERNAL') onFailure(method, error);
          end(status);
        },
      );
    };
  }
}

/** Watch as it is served: an update that streams share is encoded once. */
function sharingUpdates(service: ServiceDefinition): ServiceDefinition {
  const watch = service['Watch'] as MethodDefinition<object, object> | undefined;
  if (!watch) return service;
  const responseSerialize = (update: object): Buffer =>
    ((update as Update).bytes ??= watch.responseSerialize((update as Update).message));
  return { ...service, Watch: { ...watch, responseSerialize } };
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
