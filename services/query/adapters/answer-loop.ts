/**
 * Performs one request: reads what the core needs, then runs its answer in slices, so that other calls are served in
 * between and a caller who has gone stops the work.
 */
import type { Fleet } from '../checkpoint/fleet.ts';
import type { FleetReader } from '../fleet-reader.ts';
import type { Query } from '../query.ts';
import type { MethodName, RequestOf, ResponseOf } from '../../shared/contract/query.ts';
import type { Answer } from './grpc-server.ts';
import type { WatchSource } from './watch-driver.ts';

/** Longest run of the core before others get their turn. */
const sliceMs = 10;

/** `onAlarm` hears of each equation that an answer found broken, `onAnswer` of each request that was in order. */
export function createAnswer(
  core: Query,
  reader: FleetReader,
  now: () => number,
  onAlarm: (problem: string) => void,
  onAnswer: (method: MethodName, request: object) => void = () => undefined,
): Answer {
  return async (method, request, signal) => {
    const reply = core.kept(method, request) ?? (await perform(core, reader, now, method, request, signal, false));
    onAnswer(method, request);
    for (const problem of core.alarms(reply, now())) onAlarm(problem);
    return reply;
  };
}

/** What watches ask: the same answers, of which no next page will be wanted. */
export const createWatchSource = (core: Query, reader: FleetReader, now: () => number): WatchSource => ({
  state: () => reader.state(),
  answer: (query, signal) => perform(core, reader, now, 'Query', query, signal, true),
});

async function perform<M extends MethodName>(
  core: Query,
  reader: FleetReader,
  now: () => number,
  method: M,
  request: RequestOf<M>,
  signal: AbortSignal,
  lone: boolean,
): Promise<ResponseOf<M>> {
  const nowMs = now();
  const hosts = await reader.load();
  signal.throwIfAborted();
  const need = core.needOf(method, request, hosts, nowMs);
  core.admit(method, request, reader.bytesToRead(need), reader.limits.scanBytes, nowMs);
  const fleet = await reader.load(need);
  signal.throwIfAborted();
  const answer = core.answer(method, request, fleet, nowMs, lone);
  for (let sliceEnd = performance.now() + sliceMs; ;) {
    const step = answer.next();
    if (step.done) {
      if (method === 'ForgetHost') await forget(reader, step.value as ResponseOf<'ForgetHost'>, fleet);
      return step.value;
    }
    if (performance.now() < sliceEnd) continue;
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    sliceEnd = performance.now() + sliceMs;
  }
}

/** The core found the host and said that it may go; this is the one write. */
async function forget(reader: FleetReader, { host }: ResponseOf<'ForgetHost'>, fleet: Fleet): Promise<void> {
  const { seconds, nanos } = host!.lastSeenTime!;
  await reader.forget(host!.host, Number(seconds) * 1000 + nanos / 1e6, fleet);
}
