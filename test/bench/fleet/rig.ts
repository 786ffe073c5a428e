/** Real processes of a fleet on loopback: servers, aggregators, the synthetic fleet, a query service. Killed by pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answers, until } from '../../contract/servers.ts';
import type { KnownTotals } from '../../../services/synth/totals.ts';

const services = join(import.meta.dirname, '../../../services');
const compiled = join(import.meta.dirname, '../../../dist/services');

export interface Role {
  readonly child: ChildProcess;
  readonly pid: number;
  /** What it said when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  readonly lines: string[];
  readonly ended: Promise<number | null>;
  /** The end of what it logged. */
  said(): string;
  kill(): Promise<void>;
  stop(): Promise<number | null>;
}

/** Starts a role and waits for its ready line. `built`: what set-up compiled, as it runs in earnest. */
export async function startRole(service: string, words: readonly string[], built = false): Promise<Role> {
  const program = built
    ? [join(compiled, service, 'main.js')]
    : ['--import', 'tsx', join(services, service, 'main.ts')];
  const child = spawn(process.execPath, [...program, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  let rest = '';
  let errors = '';
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const first = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      const parts = (rest + String(chunk)).split('\n');
      rest = parts.pop()!;
      lines.push(...parts);
      if (lines.length > 0) resolve(lines[0]!);
    });
    child.stderr.on('data', (chunk) => (errors = (errors + String(chunk)).slice(-4000)));
    void ended.then((code) => reject(new Error(`${service} ended with ${code}: ${errors}`)));
  });
  const ready = JSON.parse(await first) as Record<string, unknown>;
  return {
    child,
    pid: child.pid!,
    ready,
    lines,
    ended,
    said: () => errors,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    stop() {
      child.kill('SIGTERM');
      return ended;
    },
  };
}

/** What a synthetic fleet counted in all, once it has ended. */
export async function totalsOf(synth: Role): Promise<KnownTotals> {
  await synth.ended;
  const line = synth.lines.findLast((l) => l.startsWith('{"synthetic"'));
  if (!line) throw new Error(`no totals: ${synth.lines.join('\n')}`);
  return (JSON.parse(line) as { synthetic: KnownTotals }).synthetic;
}

/** CPU seconds that a process and its ended children used so far. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  // utime, stime, cutime, cstime are fields 14 to 17, in ticks of 10 ms.
  return [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0) / 100;
}

/** Resident bytes of a process. */
export const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;

export interface Server {
  readonly pid: number;
  readonly port: number;
  kill(): Promise<void>;
}

/** A server as `muster up` would configure it, in a folder of its own. */
export async function startServer(
  program: string,
  port: number,
  parent: string,
  config: (port: number) => string,
  words: (file: string) => string[],
): Promise<Server> {
  const folder = join(parent, program);
  mkdirSync(folder);
  writeFileSync(join(folder, 'server.conf'), config(port));
  const child = spawn(program, words('server.conf'), { cwd: folder, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await until(() => answers(port), 10_000);
  return {
    pid: child.pid!,
    port,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
