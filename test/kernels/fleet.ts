/**
 * The fleet: `muster up` on this host (bus, store, aggregator, query server, and an agent of its own: one host more),
 * and guests that report to its bus. Everything is asked through gRPC.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removePins } from '../../services/cli/adapters/up-driver.ts';
import type { MethodName, RequestOf, ResponseOf } from '../../services/shared/contract/query.ts';
import { Instance, isRunning, root, until } from '../integration/instance.ts';
import { Guest, powerOffAll, type GuestPlan, type GuestPlaces } from './guest.ts';

/** This host's name in answers. */
export const reference = 'reference';
/** An answer is waited for this long: an emulated host on a busy machine is slow, and a wrong answer stays wrong. */
const patienceMs = 300_000;
const bootsAtOnce = 3;
/** Where pins of a run are: its process is part of the name. */
const pins = { folder: '/sys/fs/bpf', name: 'muster-kernels-' } as const;

export class Fleet {
  readonly guests = new Map<string, Guest>();
  private places: GuestPlaces | undefined;
  private ending: Promise<void> | undefined;

  private constructor(
    private readonly up: Instance,
    private readonly run: string,
    private readonly pinRoot: string,
  ) {}

  /** Starts this host's part; ready() waits for it. */
  static async launch(probes: readonly string[]): Promise<Fleet> {
    sweepPins();
    const run = mkdtempSync(join(tmpdir(), 'muster-kernels-'));
    const pinRoot = join(pins.folder, `${pins.name}${process.pid}`);
    // Room for the names of whatever else runs here.
    const flags = ['--host', reference, '--probes', probes.join(','), '--rows', 'syscalls=65536'];
    // As the guests do, it ends with this process.
    const up = await Instance.launch([...flags, '--pin-root', pinRoot], {
      stateDir: join(run, 'up'),
      wrapper: ['setpriv', '--pdeathsig', 'TERM'],
    });
    return new Fleet(up, run, pinRoot);
  }

  async ready(image: string): Promise<void> {
    const { up, run } = this;
    await until('muster up answers', () => up.exitCode !== undefined || up.stderr.includes('answering on'), patienceMs);
    if (up.exitCode !== undefined) throw new Error(`muster up ended with ${up.exitCode}:\n${up.stderr}`);
    const { nats } = JSON.parse(readFileSync(join(up.stateDir, 'ports.json'), 'utf8')) as { nats: number };
    this.places = { image, run, logs: join(root, 'build/kernels/logs'), nats };
  }

  async boot(plan: GuestPlan): Promise<Guest> {
    const guest = await Guest.start(plan, this.places!);
    this.guests.set(plan.name, guest);
    await guest.ready();
    return guest;
  }

  /** Boots these, few at a time: more would get in each other's way. */
  async bootAll(plans: readonly GuestPlan[]): Promise<void> {
    const rest = [...plans];
    const next = async (): Promise<void> => {
      for (let plan = rest.shift(); plan; plan = rest.shift()) await this.boot(plan);
    };
    await Promise.all(Array.from({ length: bootsAtOnce }, next));
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

  /** Everything off and removed; however often it is called. */
  end(): Promise<void> {
    this.ending ??= (async () => {
      await powerOffAll();
      await this.up.stop();
      // `up` keeps what it could not publish for its next start, which here never comes.
      removePins(this.pinRoot);
      rmSync(this.run, { recursive: true, force: true });
    })();
    return this.ending;
  }

  /** CPU time of each machine so far. */
  cost(): string {
    return [...this.guests.values()].map((g) => `${g.plan.name} ${g.cpuS().toFixed(0)} s`).join(', ');
  }

  private consoles(): string {
    return [...this.guests.values()].map((g) => `--- ${g.plan.name}\n${g.tail().slice(-1000)}`).join('\n');
  }
}

/** Of runs that were killed. */
function sweepPins(): void {
  for (const name of readdirSync(pins.folder)) {
    if (name.startsWith(pins.name) && !isRunning(Number(name.slice(pins.name.length))))
      removePins(join(pins.folder, name));
  }
}
