/** `muster up`: checks, the state directory, the roles, and what a person is told. The decisions come in as `parts`. */
import { chownSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectQuery } from '../../shared/adapters/grpc-client.ts';
import type { QueryResponse } from '../../shared/contract/query.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { Instance, UpOptions } from '../up/options.ts';
import { askServer } from './ask-server.ts';
import { noteName } from './find-keeper.ts';
import {
  findMusterUser,
  missingCapabilities,
  holdsBpf,
  isForeign,
  requireFreeAddress,
  requirePrivilege,
  requireProgram,
} from './host.ts';
import { askKeeper } from './keeper-request.ts';
import { StateDirectory } from './state-directory.ts';
import { askEveryMs, driveUp, removePins } from './up-driver.ts';

/** The pure half: main.ts imports it and hands it in. */
export type UpParts = typeof import('../up/options.ts') &
  typeof import('../up/roles.ts') &
  typeof import('../up/supervise.ts') &
  typeof import('../up/commands.ts') &
  typeof import('../up/server-files.ts') &
  typeof import('../up/log-line.ts') &
  typeof import('../up/attached.ts') &
  typeof import('../verbs/up.ts') &
  typeof import('../output/table.ts');

export interface UpPlace {
  /** The installation. */
  readonly root: string;
  /** Folder that holds <service>/main.js. */
  readonly services: string;
  readonly out: (text: string) => void;
  readonly note: (text: string) => void;
  readonly color: boolean;
}

/** How long the first answer may take before `up` goes on without it. */
const firstAnswerMs = 10_000;

export async function up(parts: UpParts, options: UpOptions, place: UpPlace): Promise<number> {
  const say = (text: string): void => place.note(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
  const synthetic = options.synthetic !== undefined;
  const privileged = missingCapabilities().length === 0;
  if (!synthetic) requirePrivilege();
  requireProgram('setpriv', 'install util-linux');
  if (options.nats === undefined) requireProgram('nats-server', 'name a running one with --nats HOST:PORT');
  if (options.redis === undefined) requireProgram('redis-server', 'name a running one with --redis HOST:PORT');
  const defaultStateDir = process.getuid?.() === 0 ? '/var/lib/muster' : join(homedir(), '.local/state/muster');
  const state = StateDirectory.take(resolve(options.stateDir ?? defaultStateDir));
  try {
    await state.awaitLeftovers(say);
    await requireFreeAddress(options.listen);
    const ports = await state.ports();
    state.write('nats/nats.conf', parts.natsConfig(ports.nats));
    state.write('redis/redis.conf', parts.redisConfig(ports.redis));
    const stateDir = realpathSync(state.path);
    const instance = parts.instanceOf(
      { stateDir, defaultStateDir, musterUser: findMusterUser(), unprivileged: !privileged },
      options.pinRoot,
    );
    // The agent reaches the keeper's socket through its group; nobody else reaches it.
    mkdirSync(instance.runDir, { recursive: true, mode: 0o750 });
    if (privileged) chownSync(instance.runDir, 0, instance.gid);

    // For `muster load`, which looks for whom to ask.
    const socket = parts.keeperSocket(instance);
    const note = { pid: process.pid, stateDir, listen: options.listen, socket };
    writeFileSync(join(instance.runDir, noteName), JSON.stringify(note), { mode: 0o600 });

    const facts = {
      node: process.execPath,
      services: place.services,
      privileged,
      objects: join(place.root, 'build/bpf'),
      stateDir,
      foreignFiles: isForeign(place.root) || isForeign(stateDir),
      hasBpf: holdsBpf(),
      options,
      instance,
      ports,
    };
    const plans = parts.planRoles({ nats: options.nats === undefined, redis: options.redis === undefined, synthetic });
    const supervision = parts.newSupervision(plans);
    const { failure, unconfirmed } = await driveUp(
      {
        step: (event, nowMs) => parts.supervise(supervision, event, nowMs),
        command: (role) => parts.commandOf(role, facts),
        readable: (role, line) => parts.readableLine(role, line),
        roles: plans.map((plan) => plan.name),
        state,
        env: childEnvironment(),
        say,
        detach: () => askKeeper(socket, { op: 'detach' }, parts.detachMs),
        ask: new Map(
          (['nats', 'redis'] as const)
            .filter((server) => options[server] === undefined)
            .map((server) => [server, () => askServer(server, ports[server], askEveryMs)]),
        ),
        onUp: () => void announce(parts, options, place, instance, say),
      },
      (stop) => {
        for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
      },
    );
    // What the bus never had is still in the pins: the next start sends it.
    const keepPins = options.keepPins || (unconfirmed && !failure);
    if (!keepPins) removePins(instance.pinRoot);
    else if (!options.keepPins)
      say(`the last counts could not be published: they stay in ${instance.pinRoot} for the next start`);
    rmSync(instance.runDir, { recursive: true, force: true });
    if (failure) throw failure;
    say('stopped');
    return 0;
  } finally {
    state.release();
  }
}

/** Roles get what Node and the programs need and where the files are; no settings or secrets that were meant for `up`. */
function childEnvironment(): Record<string, string> {
  const passed = ['LANG', 'LC_ALL', 'TZ', 'HOME', 'TMPDIR', 'MUSTER_CONFIG_DIR'];
  const found = passed.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]] as const]));
  return {
    ...Object.fromEntries(found),
    PATH: `${process.env['PATH'] ?? ''}:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin`,
  };
}

/** What attached, a first table, and the line to copy. */
async function announce(
  parts: UpParts,
  options: UpOptions,
  place: UpPlace,
  instance: Instance,
  say: (text: string) => void,
): Promise<void> {
  if (options.synthetic !== undefined)
    say(`synthetic: ${options.synthetic} hosts of a generator; nothing here was counted by a kernel`);
  else
    try {
      const status = await askKeeper(parts.keeperSocket(instance), { op: 'status' }, 3000);
      for (const line of parts.attachedLines(status)) say(line);
    } catch (error) {
      say(error instanceof MusterError ? `keeper: ${error.message}` : String(error));
    }
  const answer = await firstAnswer(parts, `unix:${parts.querySocket(instance)}`);
  if (answer) place.out(parts.renderRows(parts.firstTable(answer), { color: place.color }));
  else say(`no rows yet; ask again: muster top --server ${options.listen}`);
  say(`answering on ${options.listen}; try`);
  const { listen, tlsCert, tlsClientCa, access } = options;
  const wanted = {
    ca: tlsCert && 'CA.pem',
    cert: tlsClientCa && 'CERT.pem',
    key: tlsClientCa && 'KEY.pem',
    tokenFile: access && 'TOKEN.txt',
  };
  place.note(`  ${parts.copyLine(listen, wanted)}\n  npm run -s muster -- top --server ${options.listen}\n`);
}

async function firstAnswer(parts: UpParts, listen: string): Promise<QueryResponse | undefined> {
  const client = connectQuery(listen);
  try {
    for (const end = performance.now() + firstAnswerMs; performance.now() < end; await sleep(250)) {
      const answer = await client.call('Query', parts.firstQuestion, { deadlineMs: 2000 }).catch(() => undefined);
      if (answer && answer.rows.length > 0) return answer;
    }
    return undefined;
  } finally {
    client.close();
  }
}
