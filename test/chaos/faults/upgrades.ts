/** A rolling upgrade, and its way back: an agent is replaced by one that writes the other wire version, under load. */
import { wireNewest, wireOldest } from '../../../services/shared/contract/wire.ts';
import { over, pause, type Fault } from './fault.ts';

const otherVersion: Fault = {
  kind: 'agent of another wire version',
  inflict: async (world, random) => {
    const host = random.pick(world.hosts);
    await host.agent.ready();
    host.wire.version = host.wire.version === wireNewest ? wireOldest : wireNewest;
    const politely = random.chance(0.5);
    if (politely) await host.agent.replace();
    else await host.agent.kill();
    await host.agent.ready();
    await pause(random.between(200, 1_000));
    return over(
      `${host.name} writes version ${host.wire.version}, the one before was ${politely ? 'ended' : 'killed'}`,
    );
  },
};

export const upgradeFaults: readonly Fault[] = [otherVersion];
