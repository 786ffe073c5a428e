/** Two of what there should be one of: agents on the same pins, keepers and agents on different pins, aggregators. */
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../integration/instance.ts';
import { lifetimeOf, madeBy } from '../oracle.ts';
import { unpin } from '../places.ts';
import type { Role } from '../role.ts';
import type { Host, World } from '../world.ts';
import { over, pause, type Fault } from './fault.ts';

const patienceMs = 20_000;

/** Ends it whatever happens, and as often politely as not. */
async function during(twin: Role, politely: boolean, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } finally {
    if (!politely) await twin.kill();
    await twin.end();
  }
}

const agents: Fault = {
  kind: 'two agents on the same pins',
  inflict: async (world, random) => {
    const host = random.pick(world.hosts);
    await host.agent.ready();
    const killed = random.chance(0.5);
    await during(world.twin(host.agent), random.chance(0.5), async () => {
      await pause(random.between(1_000, 2_500));
      // The other takes over what this one was doing.
      if (killed) await host.agent.kill();
      await pause(random.between(1_000, 2_500));
    });
    return over(`${host.name}${killed ? ', the first one killed' : ''}`);
  },
};

const aggregators: Fault = {
  kind: 'two aggregators',
  inflict: async (world, random) => {
    await world.aggregator.ready();
    const asleep = random.chance(0.5);
    const ms = random.between(2_000, 4_000);
    await during(world.twin(world.aggregator), random.chance(0.5), () =>
      asleep ? world.aggregator.whilePaused(() => pause(ms)) : pause(ms),
    );
    return over(asleep ? `one asleep for ${ms} ms, and awake again` : `for ${ms} ms`);
  },
};

/** Both count every event; the younger's counts are set aside, to the last one, and stated. */
const rivals: Fault = {
  kind: 'two agents on different pins',
  inflict: async (world, random) => {
    const host = random.pick(world.hosts);
    await host.agent.ready();
    await world.stopFlows();
    const before = madeBy(host);
    const end = await rivalOf(world, host);
    try {
      world.startFlows();
      await pause(random.between(1_000, 2_500));
      await world.stopFlows();
      const twice = madeBy(host) - before;
      await until(
        `${host.name}: ${twice} events counted twice are set aside`,
        async () => (await quarantinedOf(world, host)) === host.quarantined + twice,
        patienceMs,
      );
      host.quarantined += twice;
      if (host.quarantined > host.quarantinedMost) host.quarantinedMost = host.quarantined;
      return over(`${host.name}, ${twice} events set aside`);
    } finally {
      await end();
      world.startFlows();
    }
  },
};

/** A second keeper and agent for a host, on pins of their own: they count what the first ones count. */
async function rivalOf(world: World, host: Host): Promise<() => Promise<void>> {
  const { instance } = host;
  const runDir = join(world.directory, `${host.name}-rival`);
  mkdirSync(runDir, { recursive: true, mode: 0o750 });
  chownSync(runDir, 0, instance.gid);
  const facts = { ...host.facts, instance: { ...instance, runDir, pinRoot: `${instance.pinRoot}-rival` } };
  world.undo(() => unpin(facts.instance.pinRoot));
  const keeper = world.role(`${host.name}-rival-keeper`, 'keeper', facts);
  const agent = keeper.ready().then(() => world.role(`${host.name}-rival-agent`, 'agent', facts));
  await (await agent).ready();
  return async () => {
    await (await agent).end();
    await keeper.end();
    unpin(facts.instance.pinRoot);
  };
}

async function quarantinedOf(world: World, host: Host): Promise<bigint | undefined> {
  try {
    const { coverage } = await lifetimeOf(world, host);
    return BigInt(coverage?.ledger?.quarantined ?? '0');
  } catch {
    return undefined;
  }
}

export const twinFaults: readonly Fault[] = [agents, rivals, aggregators];
