/**
 * The state directory of `muster up`: one owner at a time, the ports of its servers, the processes it started.
 *
 *   lock             {"pid","startTime"} of the owner
 *   ports.json       ports of the own servers, kept so that roles find them again after a restart
 *   processes.json   role → {"pid","startTime"}
 *   nats/ redis/     their configuration and data
 *   log/             <role>.log
 */
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { ServerPorts } from '../up/server-files.ts';

/** A process id is used again; together with the start time it is not. */
interface ProcessId {
  readonly pid: number;
  readonly startTime: string;
}

/** Field 22 of /proc/PID/stat, or undefined when there is no such process (a zombie counts as gone). */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

const isAlive = (id: ProcessId): boolean => startTimeOf(id.pid) === id.startTime;

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

const asId = (value: unknown): ProcessId | undefined => {
  const id = value as Partial<ProcessId> | undefined;
  return typeof id?.pid === 'number' && typeof id.startTime === 'string' ? (id as ProcessId) : undefined;
};

/** With its parents. Node's own recursive form never returns where the kernel says ENOENT below a parent that exists (/proc). */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

export class StateDirectory {
  private readonly processes = new Map<string, ProcessId>();

  private constructor(readonly path: string) {}

  /** Takes the directory, made when absent. Throws MusterError state/in-use naming the pid that has it. */
  static take(path: string): StateDirectory {
    try {
      for (const name of ['nats', 'redis', 'log']) makeDirectory(join(path, name));
    } catch (cause) {
      throw new MusterError('config/invalid', `use state directory ${path}`, {
        cause,
        remedy: 'choose a --state-dir that can be written',
      });
    }
    const lock = join(path, 'lock');
    const own = join(path, `lock.${process.pid}`);
    writeFileSync(own, JSON.stringify({ pid: process.pid, startTime: startTimeOf(process.pid) }));
    try {
      for (;;) {
        try {
          // A link is made or refused in one step, and the content is there from the first moment.
          linkSync(own, lock);
          return new StateDirectory(path);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        }
        const owner = asId(readJson(lock));
        if (owner && isAlive(owner)) {
          throw new MusterError('state/in-use', `take state directory ${path}`, {
            cause: `another muster up, pid ${owner.pid}, has it`,
            remedy: `stop it (kill ${owner.pid}), or use another --state-dir`,
          });
        }
        // Moved away, not deleted: were it a new owner's after all, its link would be lost unseen.
        renameSync(lock, `${own}.stale`);
        const moved = asId(readJson(`${own}.stale`));
        if (moved && isAlive(moved)) renameSync(`${own}.stale`, lock);
        else rmSync(`${own}.stale`, { force: true });
      }
    } finally {
      rmSync(own, { force: true });
    }
  }

  /** Ends what a `muster up` that was killed left running: it is on its way out anyway, or has lost its way. */
  async awaitLeftovers(say: (text: string) => void): Promise<void> {
    const found = (readJson(join(this.path, 'processes.json')) ?? {}) as Record<string, unknown>;
    const alive = (): [string, ProcessId][] =>
      Object.entries(found).flatMap(([role, value]) => {
        const id = asId(value);
        return id && isAlive(id) ? [[role, id] as [string, ProcessId]] : [];
      });
    for (let tenths = 0; alive().length > 0; tenths++) {
      if (tenths === 5)
        say(
          `waiting for processes of an earlier run: ${alive()
            .map(([role, id]) => `${role} (${id.pid})`)
            .join(', ')}`,
        );
      if (tenths === 150) for (const [, id] of alive()) process.kill(id.pid, 'SIGKILL');
      await sleep(100);
    }
  }

  /** Ports chosen before, where they are still free; others otherwise. */
  async ports(): Promise<ServerPorts> {
    const kept = (readJson(join(this.path, 'ports.json')) ?? {}) as Partial<ServerPorts>;
    const ports = { nats: await freePort(kept.nats), redis: await freePort(kept.redis) };
    writeFileSync(join(this.path, 'ports.json'), JSON.stringify(ports));
    return ports;
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.path, name), text, { mode: 0o600 });
  }

  started(role: string, pid: number): void {
    const startTime = startTimeOf(pid);
    if (startTime === undefined) return;
    this.processes.set(role, { pid, startTime });
    const next = join(this.path, 'processes.json.next');
    writeFileSync(next, JSON.stringify(Object.fromEntries(this.processes)));
    renameSync(next, join(this.path, 'processes.json'));
  }

  release(): void {
    rmSync(join(this.path, 'processes.json'), { force: true });
    rmSync(join(this.path, 'lock'), { force: true });
  }
}

/** `wanted` when nobody listens there, else any free port of the loopback. */
async function freePort(wanted: number | undefined): Promise<number> {
  const listen = (port: number): Promise<number | undefined> =>
    new Promise((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(undefined));
      server.listen(port, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
      });
    });
  const port = (wanted ? await listen(wanted) : undefined) ?? (await listen(0));
  if (port === undefined) throw new MusterError('config/address-in-use', 'find a free port on 127.0.0.1');
  return port;
}
