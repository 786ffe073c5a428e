/**
 * The fleet: `muster up` on this host (bus, store, aggregator, query server, and an agent of its own: one host more),
 * and guests that report to its bus. Everything is asked through gRPC.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MethodName, RequestOf, ResponseOf } from '../../services/shared/contract/query.ts';
import { Instance, root } from '../integration/instance.ts';
import { Guest, powerOffAll, type GuestPlan, type GuestPlaces } from './guest.ts';

/** This host's name in answers. */
export const reference = 'reference';
/** Of the guests: an emulated machine pays much for each read. */
const interval = '2s';
/** An answer is waited for this long: an emulated host on a busy machine is slow, and a wrong answer stays wrong. */
const patienceMs = 300_000;

export class Fleet {
  readonly guests = new Map<string, Guest>();

  private constructor(
    private readonly up: Instance,
    private readonly places: GuestPlaces,
  ) {}

  static async start(image: string, probes: readonly string[]): Promise<Fleet> {
    const run = mkdtempSync(join(tmpdir(), 'muster-kernels-'));
    // Room for the names of whatever else runs here.
    const flags = ['--host', reference, '--probes', probes.join(','), '--rows', 'syscalls=65536'];
    // As the guests do, it ends with this process.
    const up = await Instance.start(flags, {
      stateDir: join(run, 'up'),
      wrapper: ['setpriv', '--pdeathsig', 'TERM'],
    });
    const { nats } = JSON.parse(readFileSync(join(up.stateDir, 'ports.json'), 'utf8')) as { nats: number };
    return new Fleet(up, { image, run, logs: join(root, 'build/kernels/logs'), nats, interval });
  }

  async boot(plan: GuestPlan): Promise<Guest> {
    const guest = await Guest.start(plan, this.places);
    this.guests.set(plan.name, guest);
    await guest.ready();
    return guest;
  }

  ask<M extends MethodName>(method: M, request: Partial<RequestOf<M>>): Promise<ResponseOf<M>> {
    return this.up.client.call(method, request);
  }

  /** Asks until the answer is as it should be, and gives it. What no time can mend fails at the end of patience. */
  async until<M extends MethodName>(
    what: string,
    method: M,
    request: Partial<RequestOf<M>>,
    holds: (answer: ResponseOf<M>) => boolean,
  ): Promise<ResponseOf<M>> {
    const end = performance.now() + patienceMs;
    for (;;) {
      const answer = await this.ask(method, request);
      if (holds(answer)) return answer;
      if (performance.now() > end) {
        const text = JSON.stringify(answer).slice(0, 4000);
        throw new Error(`${what}: not within ${patienceMs / 1000} s; the last answer: ${text}\n${this.consoles()}`);
      }
      await sleep(500);
    }
  }

  async end(): Promise<void> {
    await powerOffAll();
    await this.up.stop();
    rmSync(this.places.run, { recursive: true, force: true });
  }

  private consoles(): string {
    return [...this.guests.values()].map((g) => `--- ${g.plan.name}\n${g.tail().slice(-1000)}`).join('\n');
  }
}
