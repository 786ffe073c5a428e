/**
 * A small fleet on one kernel: two hosts (each a keeper and an agent that count one cgroup), and one nats-server,
 * redis-server, aggregator and query server for both. Every process runs with the words of `muster up`; between each
 * role and a server stands a proxy; both servers keep their files on small file systems of their own.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandOf, type Command, type CommandFacts } from '../../services/cli/up/commands.ts';
import { instanceOf, parseUpOptions, type Instance } from '../../services/cli/up/options.ts';
import { natsConfig, redisConfig } from '../../services/cli/up/server-files.ts';
import { connectQuery, type QueryClient } from '../../services/shared/adapters/grpc-client.ts';
import type { MethodName, RequestOf, ResponseOf } from '../../services/shared/contract/query.ts';
import { freePort, isRunning, root } from '../integration/instance.ts';
import { Clock, clockLibrary } from './clock.ts';
import { Flow } from './flow.ts';
import { buildHost, hostPlans, type Host } from './host.ts';
import { cgroups, SmallDisk, type Cgroup } from './places.ts';
import { Proxy } from './proxy.ts';
import { Role } from './role.ts';
import { beginWhole, type Whole } from './whole.ts';

export type { Host };

export interface WorldOptions {
  readonly interval: string;
  /** Where the processes' logs go; made anew. */
  readonly logs: string;
  /** A checkout of a release before, built. */
  readonly older?: string;
}

const firstCall = 1000;
const napUs = 2000;
const natsDiskMb = 96;
const redisDiskMb = 512;

export class World {
  readonly hosts: Host[] = [];
  nats!: Role;
  redis!: Role;
  aggregator!: Role;
  query!: Role;
  natsPort = 0;
  redisPort = 0;
  natsDisk!: SmallDisk;
  redisDisk!: SmallDisk;
  /** Between aggregator and bus, aggregator and store, query server and store. */
  proxies!: { readonly bus: Proxy; readonly store: Proxy; readonly answers: Proxy };
  readonly directory = mkdtempSync(join(tmpdir(), 'muster-chaos-'));
  /** Aggregator and its clock. */
  merging!: { readonly role: Role; readonly clock: Clock; older: boolean };
  whole: Whole | undefined;
  private listen = '';
  private client: QueryClient | undefined;
  private readonly endings: (() => void | Promise<void>)[] = [];
  private readonly pids = new Set<number>();

  private constructor(private readonly options: WorldOptions) {}

  /** Resolves once every role is ready. What was begun is undone when something fails. */
  static async start(options: WorldOptions): Promise<World> {
    const world = new World(options);
    try {
      await world.build();
      return world;
    } catch (cause) {
      await world.end().catch(() => undefined);
      throw cause;
    }
  }

  get roles(): Role[] {
    return [...this.hosts.flatMap((h) => [h.agent, h.keeper]), this.aggregator, this.query, this.redis, this.nats];
  }

  /** Another process like it, beside it, until its end() is called. */
  twin(role: Role): Role {
    const twin = role.another(`${role.name}-twin`);
    this.endings.push(() => twin.end());
    twin.start();
    return twin;
  }

  /** The machine beside the fleet, begun when first asked for: six processes more. */
  async upOfOne(): Promise<Whole> {
    return (this.whole ??= await beginWhole(this, this.options));
  }

  startFlows(): void {
    for (const flow of this.flows) flow.start();
  }

  async stopFlows(): Promise<void> {
    await Promise.all(this.flows.map((flow) => flow.stop()));
  }

  /** To be done at the end, the last one first. */
  undo(end: () => void | Promise<void>): void {
    this.endings.push(end);
  }

  /** A process that must be gone at the end. */
  readonly watch = (pid: number): void => void this.pids.add(pid);

  private get flows(): Flow[] {
    const flows = this.hosts.flatMap((host) => host.flows);
    return this.whole ? [...flows, this.whole.flow] : flows;
  }

  /** Asks the query server; over a new connection after a failure, so that no back-off of the client is measured. */
  async ask<M extends MethodName>(method: M, request: Partial<RequestOf<M>>): Promise<ResponseOf<M>> {
    this.client ??= connectQuery(this.listen);
    try {
      return await this.client.call(method, request, { deadlineMs: 3_000 });
    } catch (cause) {
      this.client?.close();
      this.client = undefined;
      throw cause;
    }
  }

  /** Ends everything and throws if anything is left. */
  async end(): Promise<void> {
    this.client?.close();
    const failures: unknown[] = [];
    for (const end of this.endings.reverse()) {
      try {
        await end();
      } catch (cause) {
        failures.push(cause);
      }
    }
    this.endings.length = 0;
    const left = [...this.pids].filter(isRunning);
    if (left.length > 0) failures.push(new Error(`processes are left: ${left.join(', ')}`));
    if (failures.length > 0) throw failures.length === 1 ? failures[0] : new AggregateError(failures, 'left behind');
  }

  private async build(): Promise<void> {
    const { directory, endings } = this;
    endings.push(() => rmSync(directory, { recursive: true, force: true }));
    rmSync(this.options.logs, { recursive: true, force: true });
    mkdirSync(this.options.logs, { recursive: true });
    const place = cgroups();
    if (!place) throw new Error('cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup');
    // A copy, so that a build during a long run does not change the program under test.
    cpSync(join(root, 'dist'), join(directory, 'dist'), { recursive: true });
    cpSync(join(root, 'build/bpf'), join(directory, 'build/bpf'), { recursive: true });
    cpSync(join(root, 'package.json'), join(directory, 'package.json'));
    cpSync(clockLibrary, join(directory, 'clock.preload'));
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
    await this.buildServers();
    for (const plan of hostPlans) this.hosts.push(await buildHost(this, plan, place));
    await Promise.all(this.roles.map((role) => role.ready()));
  }

  private async buildServers(): Promise<void> {
    const { directory, endings } = this;
    this.natsDisk = new SmallDisk(join(directory, 'nats'), natsDiskMb);
    endings.push(() => this.natsDisk.unmount());
    this.redisDisk = new SmallDisk(join(directory, 'redis'), redisDiskMb);
    endings.push(() => this.redisDisk.unmount());
    this.natsPort = await freePort();
    this.redisPort = await freePort();
    this.listen = `127.0.0.1:${await freePort()}`;
    writeFileSync(join(directory, 'nats/nats.conf'), natsConfig(this.natsPort));
    writeFileSync(join(directory, 'redis/redis.conf'), redisConfig(this.redisPort));
    const open = async (port: number, speaksNats: boolean): Promise<Proxy> => {
      const proxy = await Proxy.open(port, speaksNats);
      endings.push(() => proxy.close());
      return proxy;
    };
    this.proxies = {
      bus: await open(this.natsPort, true),
      store: await open(this.redisPort, false),
      answers: await open(this.redisPort, false),
    };
    const runDir = join(directory, 'run');
    mkdirSync(runDir, { mode: 0o750 });
    const facts = { stateDir: directory, defaultStateDir: '', musterUser: undefined };
    const instance = { ...instanceOf(facts, undefined), runDir };
    const { bus, store, answers } = this.proxies;
    this.nats = this.role('nats', 'nats', this.facts(instance, {}));
    this.redis = this.role('redis', 'redis', this.facts(instance, {}));
    await Promise.all([this.nats.ready(), this.redis.ready()]);
    const addresses = { nats: bus.address, redis: store.address };
    const clock = this.clock('aggregator');
    this.aggregator = this.role(
      'aggregator',
      'aggregator',
      this.facts(instance, addresses),
      clock.environment,
      (command) => (this.merging?.older ? this.ofOlder(command) : command),
    );
    this.merging = { role: this.aggregator, clock, older: false };
    this.query = this.role('query', 'query', this.facts(instance, { redis: answers.address, listen: this.listen }));
    await this.aggregator.ready();
  }

  flow(comm: string, cgroup: Cgroup, outside: string, plan: { keys: number; burst: number }): Flow {
    const { keys, burst } = plan;
    const file = join(this.directory, `${comm}.flow`);
    const flow = new Flow({ inside: cgroup.path, outside, file, comm, first: firstCall, keys, burst, napUs });
    this.endings.push(() => flow.end());
    return flow;
  }

  clock(name: string): Clock {
    return new Clock(join(this.directory, `${name}.clock`), join(this.directory, 'clock.preload'));
  }

  /** The same command with the programs of the release before. */
  ofOlder(command: Command): Command {
    const before = (word: string, part: string): string =>
      word.replace(join(this.directory, part), join(this.options.older!, part));
    return { ...command, words: command.words.map((word) => before(before(word, 'dist'), 'build/bpf')) };
  }

  /** `alter`: what becomes of its command at each start. */
  role(
    name: string,
    kind: Parameters<typeof commandOf>[0],
    facts: CommandFacts,
    environment: Readonly<Record<string, string>> = {},
    alter: (command: Command) => Command = (command) => command,
  ): Role {
    const role = new Role(
      name,
      () => alter(commandOf(kind, facts)),
      join(this.options.logs, `${name}.log`),
      this.watch,
      environment,
    );
    this.endings.push(() => role.end());
    role.start();
    return role;
  }

  facts(instance: Instance, flags: Readonly<Record<string, unknown>>): CommandFacts {
    const options = parseUpOptions({
      listen: '127.0.0.1:1',
      interval: this.options.interval,
      logLevel: 'info',
      ...flags,
    });
    return {
      node: process.execPath,
      services: join(this.directory, 'dist/services'),
      objects: join(this.directory, 'build/bpf'),
      stateDir: this.directory,
      privileged: true,
      foreignFiles: true,
      hasBpf: true,
      options,
      instance,
      ports: { nats: this.natsPort, redis: this.redisPort },
    };
  }
}

/** What this machine lacks for such a world, or undefined. */
export function worldNeeds(): string | undefined {
  if (process.getuid?.() !== 0) return 'root, to load BPF programs';
  if (!cgroups()) return 'cgroup v2';
  if (!existsSync('/sys/fs/bpf')) return 'bpffs';
  return undefined;
}
