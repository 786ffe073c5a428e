/** One host of the fleet: a cgroup that a keeper and an agent of its own count, and the flows in it. */
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandFacts } from '../../services/cli/up/commands.ts';
import { instanceOf, type Instance } from '../../services/cli/up/options.ts';
import { wireNewest } from '../../services/shared/contract/wire.ts';
import type { Clock } from './clock.ts';
import type { Flow } from './flow.ts';
import { Cgroup, unpin } from './places.ts';
import { Proxy } from './proxy.ts';
import { withWords, type Role } from './role.ts';
import type { World } from './world.ts';

export interface Host {
  readonly name: string;
  readonly instance: Instance;
  readonly cgroup: Cgroup;
  readonly keeper: Role;
  readonly agent: Role;
  /** Between agent and bus. */
  readonly bus: Proxy;
  readonly flows: readonly Flow[];
  /** The agent's. */
  readonly clock: Clock;
  /** What its next agent writes, and of which release its next keeper and agent are. */
  readonly wire: { version: number; older: boolean };
  readonly facts: CommandFacts;
  /** True where every key has a row, so that each of them must be exact. */
  readonly roomy: boolean;
  /** performance.now() when its lineage began, or earlier. */
  bareAt: number;
  /** Events whose pins were removed. */
  onlyInStore: bigint;
  /** Events that a second keeper on other pins counted too, and that were set aside. */
  quarantined: bigint;
  /** The most that it ever was: an older copy of the store may bring it back. */
  quarantinedMost: bigint;
  /** Of them, those gone with the store too: no answer can hold them, and no ledger number them. */
  gone: bigint;
}

/** Keys of a host's flows together, against the rows of its table. */
export const hostPlans = [
  // Nine of ten rows in use: no key without a row, and a generation sealed as often as the agent allows.
  { name: 'roomy', rows: 2048, keys: 900, burst: 400, roomy: true },
  { name: 'narrow', rows: 64, keys: 5000, burst: 400, roomy: false },
] as const;
const flowsPerHost = 2;

/** Its keeper is ready, its agent begun. */
export async function buildHost(
  world: World,
  plan: (typeof hostPlans)[number],
  place: { mount: string; own: string },
): Promise<Host> {
  const { directory } = world;
  const { name } = plan;
  const id = `muster-chaos-${process.pid}-${name}`;
  const cgroup = new Cgroup(join(place.mount, id));
  world.undo(() => cgroup.remove());
  const pinRoot = `/sys/fs/bpf/${id}`;
  const runDir = join(directory, name);
  const instance = {
    ...instanceOf({ stateDir: runDir, defaultStateDir: '', musterUser: undefined }, pinRoot),
    runDir,
  };
  mkdirSync(runDir, { mode: 0o750 });
  chownSync(runDir, 0, instance.gid);
  world.undo(() => unpin(pinRoot));
  const bus = await Proxy.open(world.natsPort, true);
  world.undo(() => bus.close());
  const facts = world.facts(instance, {
    nats: bus.address,
    host: name,
    scope: `cgroup=/${id}`,
    probes: 'syscalls',
    rows: [`syscalls=${plan.rows}`],
    label: ['fleet=chaos'],
  });
  const wire = { version: wireNewest, older: false };
  const keeper = world.role(`${name}-keeper`, 'keeper', facts, {}, (command) =>
    wire.older ? world.ofOlder(command) : command,
  );
  await keeper.ready();
  const clock = world.clock(`${name}-agent`);
  const agent = world.role(`${name}-agent`, 'agent', facts, clock.environment, (command) =>
    wire.older ? world.ofOlder(command) : withWords(command, '--wire-version', String(wire.version)),
  );
  return {
    name,
    instance,
    cgroup,
    keeper,
    agent,
    bus,
    flows: Array.from({ length: flowsPerHost }, (_, i) => world.flow(`${name}-${i}`, cgroup, place.own, plan)),
    clock,
    wire,
    facts,
    roomy: plan.roomy,
    bareAt: performance.now(),
    onlyInStore: 0n,
    quarantined: 0n,
    quarantinedMost: 0n,
    gone: 0n,
  };
}
