/** The real server over a store in memory, on a free port. */
import { serveGrpc, type Answer, type GrpcServer } from '../../services/query/adapters/grpc-server.ts';
import { createAnswer, createWatchSource } from '../../services/query/adapters/answer-loop.ts';
import type { GrpcSecurity } from '../../services/query/adapters/grpc-security.ts';
import { WatchDriver } from '../../services/query/adapters/watch-driver.ts';
import { FleetReader } from '../../services/query/fleet-reader.ts';
import { gatesOf } from '../../services/query/gate.ts';
import { limits, type Limits } from '../../services/query/limits.ts';
import { Query } from '../../services/query/query.ts';
import { statusOf } from '../../services/query/status.ts';
import { Watches } from '../../services/query/watches.ts';
import { connectQuery, type QueryClient } from '../../services/shared/adapters/grpc-client.ts';
import { FakeReader } from './fake-reader.ts';
import { nowMs } from './checkpoints.ts';

export interface Rig {
  readonly port: FakeReader;
  readonly server: GrpcServer;
  readonly watch: WatchDriver;
  readonly address: string;
  readonly client: QueryClient;
  readonly failures: unknown[];
  close(): Promise<void>;
}

export interface RigOptions {
  readonly limits?: Partial<Limits>;
  /** Instead of the core's. */
  readonly answer?: Answer;
  readonly now?: () => number;
  readonly security?: GrpcSecurity;
  readonly scanBytes?: number;
}

export async function serve(
  listen: readonly string[] = ['127.0.0.1:0'],
  { limits: changed = {}, answer, now = () => nowMs, security, scanBytes = 2 ** 26 }: RigOptions = {},
): Promise<Rig> {
  const port = new FakeReader();
  const failures: unknown[] = [];
  const limited = { ...limits, ...changed };
  // Heads are never old: a test's next commit is seen at once.
  const reader = new FleetReader(
    port,
    now,
    {
      headsAgeMs: -1,
      refreshAgeMs: -1,
      cacheWeight: 2 ** 26,
      scanBytes,
      dictionaryTexts: 1e6,
      dictionaryAgeMs: 0,
      goneAfterMs: limited.goneAfterMs,
    },
    port,
  );
  const core = new Query();
  const watch = new WatchDriver(
    new Watches(limited.watchRows),
    createWatchSource(core, reader, now),
    now,
    limited.deadlineMs,
  );
  const server = await serveGrpc({
    listen,
    answer: answer ?? createAnswer(core, reader, now, () => undefined),
    watch,
    gates: gatesOf(limited),
    limits: limited,
    statusOf,
    security,
    onFailure: (_, error) => failures.push(error),
  });
  const address = server.addresses[0]!;
  const client = connectQuery(address);
  return {
    port,
    server,
    watch,
    address,
    client,
    failures,
    async close() {
      client.close();
      await server.close(1000);
    },
  };
}
