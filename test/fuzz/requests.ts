/** Fuzzed requests: from bytes as a caller would send them, through the codec, the planner and the answer. */
import { finish, Query } from '../../services/query/query.ts';
import { statusOf } from '../../services/query/status.ts';
import { watchQuestion } from '../../services/query/answer/watch.ts';
import { serviceDefinition } from '../../services/shared/adapters/grpc-schema.ts';
import { methodNames, serviceOf, type MethodName, type RequestOf } from '../../services/shared/contract/query.ts';
import type { MethodDefinition } from '@grpc/proto-loader';
import { fleetOf, nowMs, observed, runqueue, syscalls } from '../query/checkpoints.ts';
import { binaries, firstsOn, pairs, stacks } from '../query/sketch-rows.ts';
import type { Random } from '../simulation/random.ts';

const windowMs = Math.floor((nowMs - 10_000) / 10_000) * 10_000;
const rows = ['x', 'y', '__proto__', 'constructor', ''].map((comm, i) => ({
  labels: ['read', comm],
  values: [3n ** BigInt(i * 9)],
}));
const stackRows = ['main;work;read_[k]', 'main', '', ';;', '__proto__;constructor'].map((stack, i) => ({
  labels: ['x', stack],
  values: [7n ** BigInt(i * 4)],
}));
const fleet = fleetOf(
  ['h1', 'h2', 'h3'].map((host) => ({
    host,
    labels: { role: host === 'h1' ? 'db' : 'web' },
    tables: [
      { schema: syscalls, rows, overflow: 2n, windows: [{ startMs: windowMs, rows, overflow: 1n }] },
      {
        schema: runqueue,
        rows: observed('x', [0n, 1n, 9n, 1000n]),
        windows: [{ startMs: windowMs, rows: observed('x', [9n]) }],
      },
      { schema: stacks, rows: stackRows, windows: [{ startMs: windowMs, rows: stackRows }] },
      { schema: binaries, rows: pairs('x', [1, 2, 3, 4]), windows: [{ startMs: windowMs, rows: pairs('x', [2, 3]) }] },
      ...firstsOn(host, ['/bin/sh', host]).tables,
    ],
  })),
);

/** Right words by field; a wild one takes the place of some. */
const words: Readonly<Record<string, readonly unknown[]>> = {
  metric: ['', 'syscalls', 'syscalls'],
  selector: ['', 'host=~"h[12]"', 'role="web"', "role!='db'", 'host="h1"', 'role!~"x.*"'],
  groupBy: [[], ['host'], ['role'], ['comm'], ['comm', 'host']],
  range: ['', '1m', '5m', '30s', '1h'],
  orderBy: ['', 'value desc', 'value asc', 'hosts', 'rate'],
  pageSize: [0, 1, 20, 100],
  step: ['', '10s', '30s'],
  quantiles: [[], [0.5], [0, 1, 0.999]],
  label: ['', 'host', 'role', 'comm'],
  host: ['h1', 'h2'],
  probe: ['', 'syscalls'],
  format: ['', 'folded', 'tree', 'pprof'],
  baseline: [undefined, { offset: '10m' }, { selector: 'host="h2"' }, { range: '5m' }],
  labels: [{ binary: '/bin/sh' }, { binary: 'h1' }],
  interval: ['', '1s', '250ms'],
};
const ownMetrics: Readonly<Partial<Record<MethodName, readonly string[]>>> = {
  QueryHistogram: ['', 'runqueue'],
  QueryStacks: ['', 'cpu_profile'],
  QueryDistinct: ['', 'process_binaries'],
  Contains: ['', 'first_execs'],
};
const wild = (r: Random): unknown =>
  r.pick<() => unknown>([
    () => String.fromCodePoint(...Array.from(r.bytes(r.below(24)), (b) => b * r.between(1, 300))),
    () => 'comm="' + 'a'.repeat(r.below(9000)),
    () => `comm=~"(${'a*'.repeat(r.below(60))})"`,
    () => r.next() | 0,
    () => [r.pick(['comm', 'nope', '__proto__', ''])],
    () => -1,
    () => NaN,
    () => r.pick(['all', '0s', '99999999d', '1.a.b', 'value sideways', 'comm=~"["', ',', 'host="h9"', '1ms']),
    () => ({ seconds: String(r.next()), nanos: r.next() | 0 }),
  ])();

function requestOf(r: Random, method: MethodName): Record<string, unknown> {
  const request: Record<string, unknown> = {};
  for (const [field, right] of Object.entries(words)) request[field] = r.pick(right);
  // Metrics of some kinds have other names: these make most of their questions well formed.
  const own = ownMetrics[method];
  if (own) request['metric'] = r.pick(own);
  if (method === 'GetLedger') request['metric'] = r.pick(['', 'syscalls']);
  if (request['step'] === '10s' && request['range'] === '1h') request['range'] = '5m';
  if (r.chance(0.3)) request[r.pick([...Object.keys(words), 'pageToken', 'startTime', 'endTime'])] = wild(r);
  return request;
}

export function createRequestFuzz(random: Random): (i: number) => { outcome: string; through: boolean } {
  let core = new Query();
  const asked = methodNames.filter((m) => m !== 'ForgetHost');
  const codec = new Map(
    asked.map((m) => [m, serviceDefinition(serviceOf[m])[m] as MethodDefinition<object, object>] as const),
  );
  return (i) => {
    if (i % 10_000 === 0) core = new Query();
    const method = random.pick(asked);
    const { requestSerialize, requestDeserialize, responseSerialize } = codec.get(method)!;
    let bytes: Buffer;
    try {
      bytes = requestSerialize(requestOf(random, method));
    } catch {
      return { outcome: 'not a message', through: false };
    }
    if (random.chance(0.1) && bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    let request: RequestOf<MethodName>;
    try {
      request = requestDeserialize(bytes) as RequestOf<MethodName>;
    } catch {
      // As the transport says it.
      return { outcome: 'not decodable', through: false };
    }
    try {
      const kept = core.kept(method, request);
      core.needOf(method, request, fleet, nowMs);
      const reply = kept ?? finish(core.answer(method, request, fleet, nowMs));
      if (random.chance(0.05)) watchQuestion({ query: request as RequestOf<'Query'>, interval: '1s' });
      responseSerialize(reply);
      return { outcome: 'OK', through: true };
    } catch (error) {
      const { code, message } = statusOf(error);
      if (code === 'INTERNAL') throw error;
      if (message.length > 64 * 1024) throw new Error(`a message of ${message.length} characters`, { cause: error });
      return { outcome: code, through: false };
    }
  };
}
