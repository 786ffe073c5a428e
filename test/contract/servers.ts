/** nats-server and redis-server of a test: own ports, own folder, killed by pid; and a TCP proxy that can lose replies. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestServer {
  readonly address: string;
  readonly port: number;
  /** Where it keeps its files. */
  readonly folder: string;
  /** SIGKILL and start again on the same port and folder. */
  restart(): Promise<void>;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Why a test of the real server cannot run here, or false. */
export function missing(program: string): string | false {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return `${program} is not installed`;
  }
}

export const startNats = (): Promise<TestServer> =>
  start((port, folder) => ['nats-server', '-js', '-sd', folder, '-a', '127.0.0.1', '-p', String(port)]);

export const startRedis = (...extra: string[]): Promise<TestServer> =>
  start((port, folder) => [
    'redis-server',
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--appendonly',
    'yes',
    '--save',
    '',
    ...extra,
  ]);

/** A server with a configuration of its own: the command line for a port and a folder for its data. */
export const startConfigured = (command: (port: number, folder: string) => string[]): Promise<TestServer> =>
  start(command);

async function start(command: (port: number, folder: string) => string[]): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-contract-'));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const run = async (): Promise<void> => {
    const [program, ...words] = command(port, folder);
    child = spawn(program!, words, { stdio: 'ignore' });
    for (let i = 0; !(await answers(port)); i++) {
      if (child.exitCode !== null || i === 400) throw new Error(`${words.join(' ')}: ${program} does not start`);
      await pause(25);
    }
  };
  const kill = async (): Promise<void> => {
    const dying = child;
    if (!dying || dying.exitCode !== null || dying.signalCode !== null) return;
    const ended = new Promise((resolve) => dying.once('exit', resolve));
    dying.kill('SIGKILL');
    await ended;
  };
  await run();
  return {
    port,
    folder,
    address: `127.0.0.1:${port}`,
    kill,
    restart: async () => {
      await kill();
      await run();
    },
    stop: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve((socket.destroy(), true)));
    socket.once('error', () => resolve(false));
  });

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `check` holds, at most `ms`. */
export async function until(check: () => boolean | Promise<boolean>, ms = 5_000): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; await pause(20)) if (await check()) return;
  throw new Error(`not so within ${ms} ms: ${check}`);
}

export interface Proxy {
  readonly address: string;
  /** Requests that match go through, their reply does not: the connection breaks instead. */
  loseReplyTo: string | undefined;
  /** Requests that match never arrive: the connection breaks instead. */
  loseRequest: string | undefined;
  /** How many connections were broken. */
  broken: number;
  /** Refuses everything. */
  down: boolean;
  close(): Promise<void>;
}

export async function startProxy(port: number): Promise<Proxy> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    if (proxy.down) return void client.destroy();
    const upstream = net.connect(port, '127.0.0.1');
    let losing = false;
    for (const s of [client, upstream]) {
      sockets.add(s);
      s.on('error', () => undefined);
      s.on('close', () => (sockets.delete(s), client.destroy(), upstream.destroy()));
    }
    client.on('data', (data) => {
      if (proxy.down) return void client.destroy();
      if (proxy.loseRequest && data.includes(proxy.loseRequest)) {
        proxy.broken++;
        client.destroy();
        return;
      }
      if (proxy.loseReplyTo && data.includes(proxy.loseReplyTo)) losing = true;
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (!losing) return void client.write(data);
      proxy.broken++;
      client.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: Proxy = {
    address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    loseReplyTo: undefined,
    loseRequest: undefined,
    broken: 0,
    down: false,
    close: async () => {
      for (const s of sockets) s.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
