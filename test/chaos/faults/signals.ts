/** Faults by signal: every part killed, alone and all at once; every part but the kernel's stopped for seconds. */
import type { Random } from '../../simulation/random.ts';
import type { Role } from '../role.ts';
import type { World } from '../world.ts';
import { over, pause, type Fault } from './fault.ts';

export type Victim = 'agent' | 'keeper' | 'aggregator' | 'query' | 'nats' | 'redis';

export function roleOf(world: World, victim: Victim, random: Random): Role {
  if (victim === 'agent' || victim === 'keeper') return random.pick(world.hosts)[victim];
  return world[victim];
}

const kill = (victim: Victim): Fault => ({
  kind: `kill ${victim}`,
  crash: true,
  inflict: async (world, random) => {
    const role = roleOf(world, victim, random);
    await role.ready();
    return { what: role.name, endedAt: await role.kill() };
  },
});

const stop = (victim: Victim): Fault => ({
  kind: `stop ${victim}`,
  inflict: async (world, random) => {
    const role = roleOf(world, victim, random);
    const ms = random.between(600, 1_500);
    await role.whilePaused(() => pause(ms));
    return over(`${role.name} for ${ms} ms`);
  },
});

const killTwice: Fault = {
  kind: 'kill one while it starts',
  inflict: async (world, random) => {
    const role = roleOf(world, random.pick(['agent', 'keeper', 'aggregator', 'query'] as const), random);
    await role.kill();
    const ms = random.between(210, 1_500);
    await pause(ms);
    return { what: `${role.name}, again after ${ms} ms`, endedAt: await role.kill() };
  },
};

const killAll: Fault = {
  kind: 'kill all at once',
  inflict: async (world) => {
    await Promise.all(world.roles.map((role) => role.kill()));
    return over('all');
  },
};

const killPair: Fault = {
  kind: 'kill two at once',
  inflict: async (world, random) => {
    const [a, b] = [random.below(world.roles.length), random.below(world.roles.length - 1)];
    const roles = [world.roles[a]!, world.roles[b >= a ? b + 1 : b]!];
    await Promise.all(roles.map((role) => role.kill()));
    return over(roles.map((r) => r.name).join(' and '));
  },
};

const victims: readonly Victim[] = ['agent', 'keeper', 'aggregator', 'query', 'nats', 'redis'];
export const signalFaults: readonly Fault[] = [
  ...victims.map(kill),
  ...victims.map(stop),
  killTwice,
  killPair,
  killAll,
];
