/** The real server over a store in memory, on a free port. */
import { serveGrpc, type GrpcServer } from '../../services/query/adapters/grpc-server.ts';
import type { GrpcSecurity } from '../../services/query/adapters/grpc-security.ts';
import { createAnswer } from '../../services/query/adapters/answer-loop.ts';
import { FleetReader } from '../../services/query/fleet-reader.ts';
import { Query } from '../../services/query/query.ts';
import { statusOf } from '../../services/query/status.ts';
import { connectQuery, type QueryClient } from '../../services/shared/adapters/grpc-client.ts';
import { FakeReader } from './fake-reader.ts';
import { nowMs } from './checkpoints.ts';

export interface Rig {
  readonly port: FakeReader;
  readonly server: GrpcServer;
  readonly address: string;
  readonly client: QueryClient;
  readonly failures: unknown[];
  close(): Promise<void>;
}

export async function serve(listen: readonly string[] = ['127.0.0.1:0'], security?: GrpcSecurity): Promise<Rig> {
  const port = new FakeReader();
  const failures: unknown[] = [];
  const now = () => nowMs;
  // Heads are never old: a test's next commit is seen at once.
  const reader = new FleetReader(port, now, {
    headsAgeMs: -1,
    cacheWeight: 2 ** 26,
    scanBytes: 2 ** 26,
    dictionaryTexts: 1e6,
  });
  const fail = (_: string, error: unknown): void => void failures.push(error);
  const server = await serveGrpc(listen, createAnswer(new Query(), reader, now), statusOf, fail, security);
  const address = server.addresses[0]!;
  const client = connectQuery(address);
  return {
    port,
    server,
    address,
    client,
    failures,
    async close() {
      client.close();
      await server.close(1000);
    },
  };
}
