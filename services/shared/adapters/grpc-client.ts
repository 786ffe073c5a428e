/**
 * Calls the query service by method name, with a deadline. An error is a QueryError with the code and details of the
 * server, or MusterError query/unreachable when no server answered.
 */
import { type ChannelCredentials, Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import {
  serviceOf,
  streamServiceOf,
  type MethodName,
  type RequestOf,
  type ResponseOf,
  type WatchRequest,
  type WatchResponse,
} from '../contract/query.ts';
import { decodeRpcStatus, rpcCodes, statusTrailer, type RpcStatus } from '../contract/rpc-status.ts';
import { MusterError } from '../runtime/errors.ts';
import { serviceDefinition } from './grpc-schema.ts';

/** The server refused or failed a call. */
export class QueryError extends Error {
  override readonly name = 'QueryError';

  constructor(readonly status: RpcStatus) {
    super(status.message);
  }

  /** For a shell: 64 + gRPC code, as grpcurl. */
  get exitCode(): number {
    return 64 + rpcCodes[this.status.code];
  }

  /** What, why, what to do. */
  get threeLines(): string {
    const [what, ...fix] = this.status.message.split('; ');
    const why =
      this.status.violations.map((v) => `${v.field}: ${v.description}`).join(', ') ||
      this.status.reason ||
      this.status.code;
    return `error: ${what}\n  why: ${why} (${this.status.code})\n  fix: ${fix.join('; ') || 'see --help'}`;
  }
}

export interface CallOptions {
  /** Default 10 s. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface QueryClient {
  /** Fields left out have their default. Rejects with QueryError or MusterError query/unreachable. */
  call<M extends MethodName>(method: M, request: Partial<RequestOf<M>>, options?: CallOptions): Promise<ResponseOf<M>>;
  /** Updates as they come, read no faster than they are taken. Without a deadline unless one is given. */
  watch(request: Partial<WatchRequest>, options?: CallOptions): AsyncIterable<WatchResponse>;
  close(): void;
}

/** What a caller shows and whom it trusts. Nothing: clear text, without credentials. */
export interface ClientSecurity {
  /** CA of the server's certificate in PEM; TLS is used where this, or a certificate of one's own, is given. */
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** Bearer token. */
  readonly token?: string;
}

/** `server` is HOST:PORT or unix:PATH. Connects with the first call. */
export function connectQuery(server: string, security: ClientSecurity = {}): QueryClient {
  const client = new Client(server, credentialsOf(security), {
    'grpc.max_receive_message_length': 4 * 1024 * 1024,
  });
  const metadata = (): Metadata => {
    const m = new Metadata();
    if (security.token !== undefined) m.set('authorization', `Bearer ${security.token}`);
    return m;
  };
  return {
    call<M extends MethodName>(
      method: M,
      request: Partial<RequestOf<M>>,
      options: CallOptions = {},
    ): Promise<ResponseOf<M>> {
      const definition = serviceDefinition(serviceOf[method])[method] as MethodDefinition<object, object>;
      return new Promise((resolve, reject) => {
        const call = client.makeUnaryRequest(
          definition.path,
          definition.requestSerialize,
          definition.responseDeserialize,
          request,
          metadata(),
          { deadline: Date.now() + (options.deadlineMs ?? 10_000) },
          (error, reply) => {
            options.signal?.removeEventListener('abort', cancel);
            if (error) reject(translate(server, method, error));
            else resolve(reply as ResponseOf<M>);
          },
        );
        const cancel = (): void => call.cancel();
        if (options.signal?.aborted) cancel();
        else options.signal?.addEventListener('abort', cancel, { once: true });
      });
    },
    async *watch(request: Partial<WatchRequest>, options: CallOptions = {}): AsyncGenerator<WatchResponse> {
      const definition = serviceDefinition(streamServiceOf.Watch)['Watch'] as MethodDefinition<object, WatchResponse>;
      const call = client.makeServerStreamRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        request,
        metadata(),
        options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs },
      );
      const cancel = (): void => call.cancel();
      if (options.signal?.aborted) cancel();
      else options.signal?.addEventListener('abort', cancel, { once: true });
      try {
        for await (const update of call) yield update as WatchResponse;
      } catch (error) {
        throw translate(server, 'Watch', error as ServiceError);
      } finally {
        options.signal?.removeEventListener('abort', cancel);
        call.cancel();
      }
    },
    close: () => client.close(),
  };
}

const credentialsOf = ({ ca, cert, key }: ClientSecurity): ChannelCredentials =>
  ca || cert ? credentials.createSsl(ca ?? null, key ?? null, cert ?? null) : credentials.createInsecure();

function translate(server: string, method: string, error: ServiceError): Error {
  const bytes = error.metadata?.get(statusTrailer)[0];
  // Without details an UNAVAILABLE comes from the transport: nobody answered.
  if (error.code === status.UNAVAILABLE && bytes === undefined) {
    return new MusterError('query/unreachable', `call ${method}: no answer from ${server}`, { cause: error });
  }
  return new QueryError(decodeRpcStatus(error.code, error.details, bytes instanceof Buffer ? bytes : undefined));
}
