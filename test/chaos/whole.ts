/** A machine of its own beside the fleet: one `muster up` with all its parts, counting one cgroup, and a flow in it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectQuery, type QueryClient } from '../../services/shared/adapters/grpc-client.ts';
import { freePort, isRunning, until } from '../integration/instance.ts';
import type { Flow } from './flow.ts';
import { Cgroup, cgroups, unpin } from './places.ts';
import type { World, WorldOptions } from './world.ts';

export interface WholePlace {
  readonly cli: string;
  readonly stateDir: string;
  readonly listen: string;
  readonly pinRoot: string;
  readonly scope: string;
  readonly interval: string;
  readonly rows: number;
  readonly logFile: string;
}

const readyMs = 60_000;

export class Whole {
  private child: ChildProcess | undefined;
  private client: QueryClient | undefined;
  private said = '';

  constructor(
    private readonly place: WholePlace,
    readonly flow: Flow,
    private readonly started: (pid: number) => void,
  ) {}

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** Resolves once it says that it answers. */
  async start(): Promise<void> {
    const { cli, stateDir, listen, pinRoot, scope, interval, rows } = this.place;
    const words = [cli, 'up', '--state-dir', stateDir, '--listen', listen, '--pin-root', pinRoot, '--host', 'whole'];
    words.push('--scope', scope, '--interval', interval, '--probes', 'syscalls', '--rows', `syscalls=${rows}`);
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child = child;
    this.said = '';
    this.started(child.pid!);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.said += text;
      appendFileSync(this.place.logFile, text);
    });
    child.on('exit', () => {
      if (this.child === child) this.child = undefined;
    });
    await until(
      `muster up answers (log: ${this.place.logFile})`,
      () => this.said.includes('answering on') || this.child !== child,
      readyMs,
    );
    if (this.child !== child) throw new Error(`muster up ended by itself: ${this.said.slice(-500)}`);
    for (const pid of this.parts()) this.started(pid);
  }

  /** Its parts end by themselves, a moment later. */
  async kill(): Promise<void> {
    const { child } = this;
    child?.kill('SIGKILL');
    await until('muster up has ended', () => this.child !== child || child === undefined, 10_000);
  }

  /** What its answer lacks, in words. */
  async judge(): Promise<string[]> {
    this.client ??= connectQuery(this.place.listen);
    try {
      const request = { metric: 'syscalls', range: 'all', pageSize: 1 } as const;
      const answer = await this.client.call('Query', request, { deadlineMs: 3_000 });
      const made = String(this.flow.total());
      const { ledger, exact } = answer.coverage ?? {};
      if (answer.total !== made || ledger?.seen !== made || !exact)
        return [`up: total ${answer.total}, seen ${ledger?.seen}, exact ${exact}; made ${made}`];
      return [];
    } catch (cause) {
      this.client?.close();
      this.client = undefined;
      return [`up: no answer: ${String(cause)}`];
    }
  }

  async end(): Promise<void> {
    this.client?.close();
    const { child } = this;
    child?.kill('SIGTERM');
    await until('muster up has stopped', () => this.child === undefined, 40_000);
  }

  private parts(): number[] {
    const known = JSON.parse(readFileSync(join(this.place.stateDir, 'processes.json'), 'utf8')) as Record<
      string,
      { pid: number }
    >;
    return Object.values(known)
      .map(({ pid }) => pid)
      .filter(isRunning);
  }
}

const plan = { rows: 2048, keys: 900, burst: 400 } as const;

/** Resolves once it answers and its flow flows. */
export async function beginWhole(world: World, options: WorldOptions): Promise<Whole> {
  const { directory } = world;
  const place = cgroups()!;
  const id = `muster-chaos-${process.pid}-whole`;
  const cgroup = new Cgroup(join(place.mount, id));
  world.undo(() => cgroup.remove());
  const pinRoot = `/sys/fs/bpf/${id}`;
  world.undo(() => unpin(pinRoot));
  const flow = world.flow('whole', cgroup, place.own, plan);
  const whole = new Whole(
    {
      cli: join(directory, 'dist/services/cli/main.js'),
      stateDir: join(directory, 'whole'),
      listen: `127.0.0.1:${await freePort()}`,
      pinRoot,
      scope: `cgroup=/${id}`,
      interval: options.interval,
      rows: plan.rows,
      logFile: join(options.logs, 'whole.log'),
    },
    flow,
    world.watch,
  );
  world.undo(() => whole.end());
  await whole.start();
  flow.start();
  return whole;
}
