/** Two of what there should be one of: agents on the same pins, aggregators on the same stream and store. */
import type { Role } from '../role.ts';
import { over, pause, type Fault } from './fault.ts';

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

export const twinFaults: readonly Fault[] = [agents, aggregators];
