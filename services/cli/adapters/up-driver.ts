/** Performs what the supervision core decides: processes, signals, timers, and the words for a person. */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MusterError } from '../../shared/runtime/errors.ts';
import { exitUnconfirmed } from '../../shared/runtime/exit-codes.ts';
import type { Command } from '../up/commands.ts';
import type { SaidLine } from '../up/log-line.ts';
import type { RoleName } from '../up/roles.ts';
import type { SuperviseEffect, SuperviseEvent } from '../up/supervise.ts';
import type { Answer } from './ask-server.ts';
import { RoleLog } from './role-log.ts';
import { startRole, type RoleProcess } from './role-process.ts';
import type { StateDirectory } from './state-directory.ts';

export interface UpDrive {
  readonly step: (event: SuperviseEvent, nowMs: number) => SuperviseEffect[];
  readonly command: (role: RoleName) => Command;
  readonly readable: (role: RoleName, line: string) => SaidLine | undefined;
  readonly roles: readonly RoleName[];
  readonly state: StateDirectory;
  readonly env: Readonly<Record<string, string>>;
  /** One line for a person. */
  readonly say: (text: string) => void;
  readonly detach: () => Promise<unknown>;
  /** All roles are ready for the first time. */
  readonly onUp: () => void;
  /** How to ask a server of our own whether it answers, by role. */
  readonly ask: ReadonlyMap<RoleName, () => Promise<Answer>>;
}

/** Time between two questions to a server; an answer may take as long. */
export const askEveryMs = 5_000;

/** What a role said last of an error, in the three lines that every role uses. */
interface LastWords {
  error: string;
  why: string;
  fix: string;
  /** Of programs that are not ours. */
  tail: string[];
}

export interface UpEnd {
  /** The error that ended it; absent after a clean stop. */
  readonly failure: MusterError | undefined;
  /** True when the agent's last read reached no bus, so that the pins hold the only copy of it. */
  readonly unconfirmed: boolean;
}

/** Resolves when every process has ended. */
export function driveUp(drive: UpDrive, onSignal: (stop: () => void) => void): Promise<UpEnd> {
  const { say } = drive;
  const processes = new Map<RoleName, RoleProcess>();
  const logs = new Map(drive.roles.map((role) => [role, new RoleLog(join(drive.state.path, 'log', `${role}.log`))]));
  const words = new Map<RoleName, LastWords>();
  const everReady = new Set<RoleName>();
  let timer: NodeJS.Timeout | undefined;
  let failure: MusterError | undefined;
  let stopping = false;
  let unconfirmed = false;

  return new Promise((resolve) => {
    // Effects may bring events at once; they wait until the effects before them are done.
    const queue: SuperviseEvent[] = [];
    let busy = false;
    const send = (event: SuperviseEvent): void => {
      queue.push(event);
      if (busy) return;
      busy = true;
      for (let next = queue.shift(); next; next = queue.shift()) {
        for (const effect of drive.step(next, performance.now())) perform(effect);
      }
      busy = false;
    };

    const hear = (role: RoleName, line: string): void => {
      logs.get(role)!.write(line);
      const last = words.get(role) ?? { error: '', why: '', fix: '', tail: [] };
      words.set(role, last);
      last.tail = [...last.tail.slice(-19), line];
      const part = /^(error|  why|  fix): (.*)$/.exec(line);
      if (part) {
        last[part[1]!.trim() as 'error' | 'why' | 'fix'] = part[2]!;
        if (!everReady.has(role)) return;
      }
      const readable = drive.readable(role, line);
      if (readable) say(readable.text);
    };

    const spawnRole = (role: RoleName): void => {
      words.delete(role);
      const started = startRole(drive.command(role), drive.env, {
        ready: (details) => {
          logs.get(role)!.write(JSON.stringify(details));
          if (everReady.has(role)) say(`${role} is ready again`);
          everReady.add(role);
          send({ kind: 'ready', role });
        },
        line: (line) => hear(role, line),
        exited: (code, signal) => {
          processes.delete(role);
          if (stopping && role === 'agent' && code === exitUnconfirmed) unconfirmed = true;
          send({ kind: 'exited', role, code, signal });
        },
      });
      processes.set(role, started);
      drive.state.started(role, started.pid);
    };

    const perform = (effect: SuperviseEffect): void => {
      switch (effect.kind) {
        case 'spawn':
          return spawnRole(effect.role);
        case 'signal':
          return processes.get(effect.role)?.signal(effect.signal);
        case 'detach':
          stopping = true;
          drive.detach().then(
            () => send({ kind: 'detached' }),
            (error: unknown) => {
              say(`keeper did not detach: ${error instanceof MusterError ? error.what : String(error)}`);
              send({ kind: 'detached' });
            },
          );
          return;
        case 'up':
          return drive.onUp();
        case 'restarting':
          return say(`${effect.role} ended (${effect.reason}); starting it again in ${effect.afterMs} ms`);
        case 'killing':
          return say(`killing ${effect.role}: ${effect.reason}`);
        case 'failed':
          failure = failedStart(
            effect.role,
            effect.reason,
            words.get(effect.role),
            join(drive.state.path, 'log', `${effect.role}.log`),
          );
          return;
        case 'wake':
          clearTimeout(timer);
          timer = setTimeout(() => send({ kind: 'tick' }), Math.max(0, effect.atMs - performance.now()));
          return;
        case 'done':
          clearTimeout(timer);
          clearInterval(waiting);
          for (const asking of askers) clearInterval(asking);
          for (const log of logs.values()) log.close();
          return resolve({ failure, unconfirmed });
      }
    };

    const waiting = setInterval(() => {
      const missing = drive.roles.filter((role) => !everReady.has(role));
      if (missing.length === 0 || stopping) clearInterval(waiting);
      else say(`still waiting for ${missing.join(', ')}; logs are in ${join(drive.state.path, 'log')}`);
    }, 10_000);

    const askers = [...drive.ask].map(([role, ask]) =>
      setInterval(() => void ask().then((answer) => send({ kind: 'asked', role, reason: '', ...answer })), askEveryMs),
    );

    onSignal(() => {
      say(
        stopping ? 'stopping at once' : 'stopping: the last counts are read, merged and stored first (again to hurry)',
      );
      stopping = true;
      send({ kind: 'stop' });
    });
    send({ kind: 'begin' });
  });
}

function failedStart(role: RoleName, reason: string, last: LastWords | undefined, log: string): MusterError {
  if (last?.error) {
    return new MusterError('role/failed', `${role}: ${last.error}`, {
      cause: last.why,
      remedy: last.fix || `see ${log}`,
    });
  }
  const said = last?.tail.find((line) => /\berror\b|Error:/i.test(line)) ?? last?.tail.at(-1);
  return new MusterError('role/failed', `${role} could not start`, { cause: said ?? reason, remedy: `see ${log}` });
}

/** Unpins what a keeper that died could not; an unpinned link detaches its program. */
export function removePins(pinRoot: string): void {
  if (!existsSync(pinRoot)) return;
  for (const name of readdirSync(pinRoot)) rmSync(join(pinRoot, name), { recursive: true, force: true });
  try {
    rmdirSync(pinRoot);
  } catch {
    // bpffs itself, or somebody made something since.
  }
}
