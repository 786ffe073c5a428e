/** A whole Muster as a user starts it, on its own state directory and port; and the questions tests ask it. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectQuery, type QueryClient } from '../../services/shared/adapters/grpc-client.ts';
import type { QueryRequest, QueryResponse } from '../../services/shared/contract/query.ts';

export const root = join(import.meta.dirname, '../..');
export const cli = join(root, 'dist/services/cli/main.js');
const loadProgram = join(root, 'build/test/load');

/** Why the whole cannot run here, or undefined. */
export const cannotRun = process.getuid?.() === 0 ? undefined : 'loading BPF programs needs root';

export async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

export type RoleName = 'nats' | 'redis' | 'keeper' | 'agent' | 'aggregator' | 'query';

export class Instance {
  stderr = '';
  stdout = '';
  exitCode: number | null | undefined;
  readonly client: QueryClient;
  private readonly ended: Promise<void>;

  private constructor(
    readonly process: ChildProcess,
    readonly stateDir: string,
    readonly listen: string,
  ) {
    this.client = connectQuery(listen);
    process.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    process.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = new Promise((resolve) =>
      process.on('close', (code) => {
        this.exitCode = code;
        resolve();
      }),
    );
  }

  /** Resolves once it says that it answers. */
  static async start(
    flags: readonly string[] = [],
    more: { stateDir?: string; listen?: string; wrapper?: readonly string[] } = {},
  ): Promise<Instance> {
    const instance = await Instance.launch(flags, more);
    await until(
      'muster up answers',
      () => instance.stderr.includes('answering on') || instance.exitCode !== undefined,
      60_000,
    );
    if (instance.exitCode !== undefined)
      throw new Error(`muster up ended with ${instance.exitCode}:\n${instance.stderr}`);
    return instance;
  }

  static async launch(
    flags: readonly string[] = [],
    more: { stateDir?: string; listen?: string; wrapper?: readonly string[] } = {},
  ): Promise<Instance> {
    const stateDir = more.stateDir ?? mkdtempSync(join(tmpdir(), 'muster-up-'));
    const listen = more.listen ?? `127.0.0.1:${await freePort()}`;
    const words = [process.execPath, cli, 'up', '--state-dir', stateDir, '--listen', listen, ...flags];
    const [program, ...rest] = [...(more.wrapper ?? []), ...words] as [string, ...string[]];
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    return new Instance(child, stateDir, listen);
  }

  pids(): Record<RoleName, number> {
    const known = JSON.parse(readFileSync(join(this.stateDir, 'processes.json'), 'utf8')) as Record<
      RoleName,
      { pid: number }
    >;
    return Object.fromEntries(Object.entries(known).map(([role, { pid }]) => [role, pid])) as Record<RoleName, number>;
  }

  /** Kills a role and resolves once another process has its place. */
  async kill(role: RoleName): Promise<void> {
    const { [role]: pid } = this.pids();
    process.kill(pid, 'SIGKILL');
    await until(
      `${role} runs again`,
      () => this.pids()[role] !== pid && this.stderr.includes(`${role} is ready again`),
      20_000,
    );
  }

  /** Pin root and run directory, from the keeper's command line. */
  places(): { pinRoot: string; socket: string } {
    const words = readFileSync(`/proc/${this.pids().keeper}/cmdline`, 'utf8').split('\0');
    const after = (flag: string): string => words[words.indexOf(flag) + 1]!;
    return { pinRoot: after('--pin-root'), socket: after('--socket') };
  }

  query(request: Partial<QueryRequest>): Promise<QueryResponse> {
    return this.client.call('Query', request);
  }

  /** Asks until the total is `expected`, then once more after a while: it must stay there. */
  async expectTotal(request: Partial<QueryRequest>, expected: number, withinMs = 15_000): Promise<QueryResponse> {
    let last: QueryResponse | undefined;
    let error: unknown;
    const end = performance.now() + withinMs;
    while (performance.now() < end && last?.total !== String(expected)) {
      try {
        last = await this.query(request);
      } catch (caught) {
        error = caught;
      }
      await sleep(200);
    }
    if (last?.total !== String(expected)) {
      throw new Error(
        `expected ${expected}, found ${last?.total ?? String(error)}\n${JSON.stringify(last?.coverage)}\n${this.stderr}`,
      );
    }
    await sleep(1500);
    const settled = await this.query(request);
    if (settled.total !== String(expected)) throw new Error(`went from ${expected} to ${settled.total}`);
    return settled;
  }

  /** Asks it to end, and resolves with its exit code. */
  async stop(signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<number | null> {
    this.process.kill(signal);
    return this.wait();
  }

  async wait(): Promise<number | null> {
    await this.ended;
    this.client.close();
    return this.exitCode!;
  }

  /** For the end of a test: stopped if it runs, its files removed. */
  async discard(): Promise<void> {
    if (this.exitCode === undefined) await this.stop();
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}

/** A zombie has ended; whether somebody collects it is not ours to say. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}

export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs: number): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${withinMs} ms`);
    await sleep(50);
  }
}

/** Runs the load generator to its end. Not spawnSync: the gRPC client must go on breathing. */
export function load(...flags: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(loadProgram, flags, { stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`load ended with ${code}`))));
  });
}

/** Runs the command line to its end. */
export function muster(
  argv: readonly string[],
  wrapper: readonly string[] = [],
): { code: number | null; stdout: string; stderr: string } {
  const [program, ...words] = [...wrapper, process.execPath, cli, ...argv] as [string, ...string[]];
  const run = spawnSync(program, words, { encoding: 'utf8', timeout: 60_000 });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr };
}
