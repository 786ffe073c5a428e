/** The loader as a process of its own, for tests: started on a pin root of the test's, asked over its socket. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { PinRoot } from '../../services/loader/adapters/pin-root.ts';
import type { LoadedLineage } from '../../services/loader/load/probe-kernel.ts';

const main = join(import.meta.dirname, '../../services/loader/main.ts');
let made = 0;

export interface Ready {
  readonly ready: 'loader';
  readonly lineages: LoadedLineage[];
  readonly failed: { probe: string; code: string; message: string }[];
  readonly billBytes: number;
}

export interface Ended {
  readonly status: number | null;
  readonly ready: Ready | undefined;
  readonly stderr: string;
}

export interface Place {
  readonly pinRoot: string;
  readonly socket: string;
  readonly directory: string;
  /** Ended before the pins are removed. */
  readonly endings: (() => Promise<unknown>)[];
}

/** A pin root and a socket of the test's own; both are gone after it. */
export function ownPlace(t: TestContext): Place {
  const endings: Place['endings'] = [];
  const pinRoot = `/sys/fs/bpf/muster-loader-${process.pid}-${++made}`;
  const directory = mkdtempSync(join(tmpdir(), 'muster-loader-'));
  t.after(async () => {
    for (const end of endings) await end();
    rmSync(directory, { recursive: true, force: true });
    if (!existsSync(pinRoot)) return;
    const root = PinRoot.acquire(pinRoot, 0);
    root.removeAll();
    root.release();
  });
  return { pinRoot, socket: join(directory, 'keeper.sock'), directory, endings };
}

function start(
  args: readonly string[],
  env: Record<string, string> = {},
  wrapper: readonly string[] = [],
): { child: ChildProcess; ready: Promise<Ready | undefined>; ended: Promise<Ended> } {
  const [command, ...rest] = [...wrapper, process.execPath, '--import', 'tsx', main, ...args];
  const child = spawn(command!, rest, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const ready = lines.next().then(({ value, done }) => (done ? undefined : (JSON.parse(value as string) as Ready)));
  const ended = once(child, 'close').then(async ([status]) => ({
    status: status as number | null,
    ready: await ready,
    stderr,
  }));
  return { child, ready, ended };
}

/** Loads, pins and exits; `wrapper` is a command that starts another, such as setpriv. */
export const runLoader = (args: readonly string[], wrapper: readonly string[] = []): Promise<Ended> =>
  start(args, {}, wrapper).ended;

/** A keeper that stays; killed after the test if it still runs. */
export class KeeperProcess {
  private constructor(
    readonly child: ChildProcess,
    readonly ready: Ready,
    private readonly socket: string,
    private readonly ended: Promise<Ended>,
  ) {}

  static async start(place: Place, args: readonly string[], env: Record<string, string> = {}): Promise<KeeperProcess> {
    const { child, ready, ended } = start(
      ['--pin-root', place.pinRoot, '--socket', place.socket, '--keep', ...args],
      env,
    );
    place.endings.push(async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    });
    const line = await ready;
    if (!line) throw new Error(`keeper did not start: ${(await ended).stderr}`);
    return new KeeperProcess(child, line, place.socket, ended);
  }

  async end(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }

  wait(): Promise<Ended> {
    return this.ended;
  }

  /** Sends lines as they are; gives one reply for each. */
  async ask(...lines: (string | object)[]): Promise<Record<string, unknown>[]> {
    const socket = connect(this.socket);
    await once(socket, 'connect');
    for (const line of lines) socket.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
    const replies: Record<string, unknown>[] = [];
    for await (const line of createInterface({ input: socket })) {
      replies.push(JSON.parse(line) as Record<string, unknown>);
      if (replies.length === lines.length) break;
    }
    socket.destroy();
    return replies;
  }
}
