/**
 * The pins go away while nobody holds them. What was read before stays counted, a new lineage counts on from nothing, and
 * the time between is a span of unknown. The flows stand still meanwhile, so that no event falls into that time.
 */
import { removePins } from '../../../services/cli/adapters/up-driver.ts';
import { accountOf, madeBy } from '../oracle.ts';
import type { Host, World } from '../world.ts';
import { over, pause, type Fault } from './fault.ts';

const patienceMs = 30_000;

export const pinFaults: readonly Fault[] = [
  {
    kind: 'pins removed',
    inflict: async (world, random) => {
      const host = random.pick(world.hosts);
      await world.stopFlows();
      await holds(`all of ${host.name} is merged`, () => isMerged(world, host));
      const at = Date.now();
      host.bareAt = performance.now();
      host.onlyInStore = madeBy(host);
      await host.agent.whileDown(() =>
        host.keeper.whileDown(async () => {
          removePins(host.instance.pinRoot);
          await pause(random.between(100, 1_000));
        }),
      );
      await Promise.all([host.keeper.ready(), host.agent.ready()]);
      world.startFlows();
      await holds(`${host.name}: the time without pins is a span of unknown`, () => isDeclared(world, host, at));
      return over(host.name);
    },
  },
];

/** All that its flows made is in the answers, or stated as lost. */
export async function isMerged(world: World, host: Host): Promise<boolean> {
  const { total, lost } = await accountOf(world, host);
  return total + lost + host.gone === madeBy(host);
}

/** A span that ends after the pins went. */
async function isDeclared(world: World, host: Host, at: number): Promise<boolean> {
  const answer = await world.ask('GetHost', { host: host.name });
  return (answer.host?.unknown ?? []).some((span) => Number(span.end?.seconds ?? 0) * 1000 + 1000 > at);
}

async function holds(what: string, check: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + patienceMs; !(await check().catch(() => false)); await pause(100)) {
    if (performance.now() > end) throw new Error(`${what}: not within ${patienceMs / 1000} s`);
  }
}
