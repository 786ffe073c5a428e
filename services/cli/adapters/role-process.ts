/**
 * One process of `muster up`: started in a session of its own (a terminal's Ctrl-C reaches `up` alone, which stops the
 * roles in order), its output cut into lines, its readiness recognised.
 */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Command } from '../up/commands.ts';

export interface RoleProcess {
  readonly pid: number;
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
}

export interface RoleEvents {
  /** `details` is what the JSON line says beside the name. */
  ready(details: Readonly<Record<string, unknown>>): void;
  line(line: string): void;
  exited(code: number | undefined, signal: string | undefined): void;
}

const lineMax = 64 * 1024;

export function startRole(command: Command, env: Readonly<Record<string, string>>, events: RoleEvents): RoleProcess {
  const [program, ...args] = command.words as [string, ...string[]];
  const child = spawn(program, args, {
    ...(command.folder === undefined ? {} : { cwd: command.folder }),
    env: { ...env, ...(command.lifeline ? { MUSTER_STDIN_LIFELINE: '1' } : {}) },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let isReady = false;
  let ended = false;
  const becomeReady = (details: Readonly<Record<string, unknown>>): void => {
    if (isReady) return;
    isReady = true;
    events.ready(details);
  };
  const { ready } = command;
  const output = (line: string): void => {
    if (ready.kind === 'json') {
      const details = readyDetails(line);
      if (details) return becomeReady(details);
    } else if (line.includes(ready.text)) becomeReady({});
    events.line(line);
  };
  eachLine(child.stdout, output);
  eachLine(child.stderr, output);
  // A write to a role that is gone must not end the supervisor.
  child.stdin.on('error', () => undefined);
  const end = (code: number | null, signal: string | null): void => {
    if (ended) return;
    ended = true;
    events.exited(code ?? undefined, signal ?? undefined);
  };
  child.on('error', (error) => {
    events.line(`cannot start ${program}: ${error.message}`);
    end(127, null);
  });
  // 'close' comes after the last line of output, which says why.
  child.on('close', end);
  return {
    pid: child.pid ?? 0,
    signal: (signal) => void child.kill(signal),
  };
}

function readyDetails(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{"ready":')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function eachLine(stream: Readable, deliver: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    rest += chunk;
    const lines = rest.split('\n');
    rest = lines.pop()!;
    for (const line of lines) deliver(line.slice(0, lineMax));
    if (rest.length > lineMax) {
      deliver(rest.slice(0, lineMax));
      rest = '';
    }
  });
  stream.on('end', () => {
    if (rest !== '') deliver(rest);
  });
}
