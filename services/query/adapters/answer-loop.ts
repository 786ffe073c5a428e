/**
 * Performs one request: reads what the core needs, then runs its answer in slices, so that other calls are served in
 * between and a caller who has gone stops the work.
 */
import type { FleetReader } from '../fleet-reader.ts';
import type { Query } from '../query.ts';
import type { Answer } from './grpc-server.ts';

/** Longest run of the core before others get their turn. */
const sliceMs = 10;

const hostsOnly = (): boolean => false;

export function createAnswer(core: Query, reader: FleetReader, now: () => number): Answer {
  return async (method, request, signal) => {
    const kept = core.kept(method, request);
    if (kept) return kept;
    const nowMs = now();
    const hosts = await reader.load(hostsOnly);
    signal.throwIfAborted();
    const fleet = await reader.load(core.needOf(method, request, hosts, nowMs));
    signal.throwIfAborted();
    const answer = core.answer(method, request, fleet, nowMs);
    for (let sliceEnd = performance.now() + sliceMs; ;) {
      const step = answer.next();
      if (step.done) return step.value;
      if (performance.now() < sliceEnd) continue;
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      sliceEnd = performance.now() + sliceMs;
    }
  };
}
