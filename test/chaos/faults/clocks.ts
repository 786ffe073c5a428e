/** Wall clocks of one process stepped by a minute, a day, a year, back or forth, and right again after a while. */
import { over, pause, type Fault } from './fault.ts';

const steps = [-31_536_000, -86_400, -3_600, -60, 60, 3_600, 86_400, 31_536_000] as const;

const stepped = (victim: 'agent' | 'aggregator'): Fault => ({
  kind: `clock of ${victim} stepped`,
  inflict: async (world, random) => {
    const { role, clock } =
      victim === 'agent' ? random.pick(world.hosts.map((h) => ({ role: h.agent, clock: h.clock }))) : world.merging;
    await role.ready();
    const seconds = random.pick(steps);
    const killed = random.chance(0.3);
    clock.set(seconds);
    try {
      await pause(random.between(500, 1_500));
      if (killed) {
        await role.kill();
        await role.ready();
      }
    } finally {
      clock.set(0);
    }
    return over(`${role.name} by ${seconds} s, and back${killed ? ', started again between' : ''}`);
  },
});

export const clockFaults: readonly Fault[] = [stepped('agent'), stepped('aggregator')];
