/** A nats-server of the test's own, on a free loopback port with its own folder; killed and started again at will. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const natsServerPresent = (): boolean => spawnSync('nats-server', ['--version']).status === 0;

export class NatsServer {
  private child: ChildProcess | undefined;
  private constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly jetstream: boolean,
    private readonly extra: string,
  ) {}

  /** `extra` is added to the configuration: users, limits. */
  static async start({ jetstream = true, extra = '' } = {}): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), mkdtempSync(join(tmpdir(), 'muster-nats-')), jetstream, extra);
    await server.start();
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const js = this.jetstream ? `jetstream { store_dir: "${this.folder}", max_file_store: 64MB }\n` : '';
    const file = join(this.folder, 'nats.conf');
    writeFileSync(file, `listen: "${this.address}"\nmax_payload: 1MB\n${js}${this.extra}\n`);
    const child = spawn('nats-server', ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child = child;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.includes('Server is ready')) resolve();
      });
      child.once('exit', () => reject(new Error(`nats-server ended:\n${said}`)));
    });
  }

  /** kill -9, as a crash. */
  async kill(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
