/**
 * One process of a Muster under chaos: started with the words that `muster up` uses, and started again 200 ms after
 * its death, as `muster up` does for a first one. Unlike there the wait does not grow with each kill.
 */
import { appendFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRole, type RoleProcess } from '../../services/cli/adapters/role-process.ts';
import type { Command } from '../../services/cli/up/commands.ts';
import { isRunning, until } from '../integration/instance.ts';

const againMs = 200;
const againMaxMs = 1_000;
const readyMs = 60_000;

export class Role {
  /** Lives begun, and those that came to be ready. */
  starts = 0;
  private child: RoleProcess | undefined;
  private isReady = false;
  private held = false;
  private ended = false;
  private failures = 0;
  /** performance.now() of the last death. */
  diedAt = 0;

  constructor(
    readonly name: string,
    private readonly command: () => Command,
    private readonly logFile: string,
    private readonly started: (pid: number) => void,
    private readonly more: Readonly<Record<string, string>> = {},
  ) {}

  start(): void {
    if (this.ended || this.held || this.child) return;
    this.starts++;
    const say = (line: string): void => appendFileSync(this.logFile, `${line}\n`);
    say(`--- start ${this.starts}`);
    const child = startRole(
      this.command(),
      { ...environment(), ...this.more },
      {
        ready: () => {
          this.isReady = true;
          this.failures = 0;
          say('--- ready');
        },
        line: say,
        exited: (code, signal) => {
          this.diedAt = performance.now();
          say(`--- ended: ${signal ?? code}`);
          this.child = undefined;
          this.isReady = false;
          setTimeout(() => this.start(), Math.min(againMs * 2 ** this.failures++, againMaxMs));
        },
      },
    );
    this.child = child;
    this.started(child.pid);
  }

  /** The same words, another log. */
  another(name: string): Role {
    return new Role(name, this.command, join(dirname(this.logFile), `${name}.log`), this.started, this.more);
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  signal(name: NodeJS.Signals): void {
    const { pid } = this;
    if (pid > 0) process.kill(pid, name);
  }

  /** Kills it and gives the moment. */
  async kill(): Promise<number> {
    const { child } = this;
    this.signal('SIGKILL');
    const at = performance.now();
    await until(`${this.name} has ended`, () => this.child !== child || child === undefined, 10_000);
    return at;
  }

  /** Asks it to end, and gives way to the next once it has. */
  async replace(): Promise<void> {
    const { child } = this;
    this.signal('SIGTERM');
    await until(`${this.name} has given way`, () => this.child !== child || child === undefined, 20_000);
  }

  /** Kills it and keeps it down while `act` runs. */
  async whileDown(act: () => Promise<void>): Promise<void> {
    this.held = true;
    try {
      await this.kill();
      await act();
    } finally {
      this.held = false;
      this.start();
    }
  }

  /** Stops the process without ending it. */
  async whilePaused(act: () => Promise<void>): Promise<void> {
    const { pid } = this;
    if (pid > 0) process.kill(pid, 'SIGSTOP');
    try {
      await act();
    } finally {
      if (pid > 0 && isRunning(pid)) process.kill(pid, 'SIGCONT');
    }
  }

  async ready(): Promise<void> {
    await until(`${this.name} is ready (log: ${this.logFile})`, () => this.isReady, readyMs);
  }

  /** Asks it to end; kills it after a while. For the end of a run. */
  async end(): Promise<void> {
    this.ended = true;
    const { pid } = this;
    if (pid === 0) return;
    process.kill(pid, 'SIGCONT');
    process.kill(pid, 'SIGTERM');
    for (const end = performance.now() + 10_000; this.child && performance.now() < end; await sleep(20));
    if (this.child) await this.kill();
  }
}

export const withWords = (command: Command, ...words: string[]): Command => ({
  ...command,
  words: [...command.words, ...words],
});

function environment(): Record<string, string> {
  const passed = ['LANG', 'LC_ALL', 'TZ', 'HOME', 'TMPDIR', 'PATH'];
  return Object.fromEntries(passed.flatMap((n) => (process.env[n] === undefined ? [] : [[n, process.env[n]]])));
}
