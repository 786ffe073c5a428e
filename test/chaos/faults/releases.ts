/**
 * A rolling upgrade and its way back with processes of a release before, built elsewhere (`--older DIR`): a host of
 * it under today's aggregator; and its aggregator under today's agents, told to write what it reads.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { wireOldest } from '../../../services/shared/contract/wire.ts';
import { until } from '../../integration/instance.ts';
import type { Role } from '../role.ts';
import { accountOf, madeBy } from '../oracle.ts';
import type { World } from '../world.ts';
import type { Random } from '../../simulation/random.ts';
import { over, pause, type Fault } from './fault.ts';
import { isMerged } from './pins.ts';
import { unpin } from '../places.ts';

const exactMs = 45_000;

/** Kills it or ends it; the next one is of the release then wanted. */
async function replaced(role: Role, random: Random): Promise<void> {
  await role.ready();
  await (random.chance(0.5) ? role.kill() : role.replace());
  await role.ready();
}

/**
 * The keeper first, then the agent: an agent leaves layouts alone that are newer than itself, so that on the way back
 * today's must have told the end of today's lineage, whose pins a keeper of before cannot judge: they go by hand.
 */
const hostBefore: Fault = {
  kind: 'host of the release before',
  inflict: async (world, random) => {
    const host = random.pick(world.hosts);
    host.wire.older = !host.wire.older;
    // Between the programs of one release and those of the next nothing counts.
    await world.stopFlows();
    // Once it is durable, a lineage that ended is in the store alone.
    host.bareAt = performance.now();
    host.onlyInStore = madeBy(host);
    const lineages = join(host.instance.pinRoot, 'syscalls');
    const ended = readdirSync(lineages);
    await replaced(host.keeper, random);
    if (host.wire.older) {
      await until('the end of its lineage is merged', () => isMerged(world, host).catch(() => false), exactMs);
      for (const uuid of ended) unpin(join(lineages, uuid));
    }
    if (!host.wire.older && random.chance(0.5)) world.startFlows();
    await replaced(host.agent, random);
    world.startFlows();
    await pause(random.between(200, 1_000));
    return over(`${host.name} is of ${host.wire.older ? 'the release before' : 'today'}`);
  },
};

const aggregatorBefore: Fault = {
  kind: 'aggregator of the release before',
  mayLose: true,
  inflict: async (world, random) => {
    for (const { agent, wire } of world.hosts) {
      if (wire.older || wire.version === wireOldest) continue;
      wire.version = wireOldest;
      await replaced(agent, random);
    }
    const stated = await lostBy(world);
    world.merging.older = true;
    await replaced(world.aggregator, random);
    await pause(random.between(500, 1_500));
    await world.stopFlows();
    const exact = (): Promise<boolean> => isExact(world, stated).catch(() => false);
    await until('exact with an aggregator of the release before', exact, exactMs);
    world.startFlows();
    world.merging.older = false;
    await replaced(world.aggregator, random);
    return over('and today’s after it');
  },
};

async function lostBy(world: World): Promise<Map<string, bigint>> {
  const lost = new Map<string, bigint>();
  for (const host of world.hosts) lost.set(host.name, (await accountOf(world, host)).lost);
  return lost;
}

/** The release before may count right and not state all that was lost before it: `stated`, by host. */
async function isExact(world: World, stated: ReadonlyMap<string, bigint>): Promise<boolean> {
  for (const host of world.hosts) {
    const { total, lost } = await accountOf(world, host);
    const missing = madeBy(host) - host.gone - total;
    if (missing !== lost && missing !== stated.get(host.name)) return false;
  }
  return true;
}

export const releaseFaults: readonly Fault[] = [hostBefore, aggregatorBefore];
