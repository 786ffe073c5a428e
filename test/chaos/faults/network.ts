/** Bad weather between roles and servers, for some seconds. */
import type { Random } from '../../simulation/random.ts';
import type { Proxy, Weather } from '../proxy.ts';
import type { World } from '../world.ts';
import { over, pause, type Fault } from './fault.ts';

type Server = 'bus' | 'store';

function proxyOf(world: World, server: Server, random: Random): [name: string, proxy: Proxy] {
  const bus = [...world.hosts.map((h) => [h.name, h.bus] as const), ['aggregator', world.proxies.bus] as const];
  const store = [['aggregator', world.proxies.store] as const, ['query', world.proxies.answers] as const];
  const [name, proxy] = random.pick(server === 'bus' ? bus : store);
  return [name, proxy];
}

const weather = (
  kind: string,
  server: Server,
  make: (random: Random) => Weather,
  leastMs: number,
  mostMs: number,
): Fault => ({
  kind: `${server} ${kind}`,
  inflict: async (world, random) => {
    const [name, proxy] = proxyOf(world, server, random);
    const ms = random.between(leastMs, mostMs);
    proxy.set(make(random));
    await pause(ms);
    const { acts } = proxy;
    proxy.set({ kind: 'fair' });
    return acts === 0 ? undefined : over(`between ${server} and ${name} for ${ms} ms, ${acts} times`);
  },
});

const cut = (server: Server): Fault => ({
  kind: `${server} cut`,
  inflict: async (world, random) => {
    const names: string[] = [];
    for (let n = random.between(1, 3); n > 0; n--) {
      const [name, proxy] = proxyOf(world, server, random);
      proxy.cutAll();
      names.push(name);
      await pause(random.between(10, 400));
    }
    return over(`between ${server} and ${names.join(', ')}`);
  },
});

/** The request arrives and is done; nobody hears of it. */
const loseReply = (server: Server, to: string): Fault => ({
  kind: `${server} loses a reply`,
  inflict: async (world, random) => {
    const [name, proxy] =
      server === 'store' ? (['aggregator', world.proxies.store] as const) : proxyOf(world, 'bus', random);
    const request = server === 'store' || name !== 'aggregator' ? to : '$JS.API.CONSUMER.MSG.NEXT';
    proxy.set({ kind: 'losing-reply', to: request });
    for (const end = performance.now() + 4_000; proxy.acts === 0 && performance.now() < end; await pause(20));
    const { acts } = proxy;
    proxy.set({ kind: 'fair' });
    return acts === 0 ? undefined : over(`to ${name}`);
  },
});

export const networkFaults: readonly Fault[] = [
  cut('bus'),
  cut('store'),
  weather('refuses', 'bus', () => ({ kind: 'refusing' }), 500, 3_000),
  weather('refuses', 'store', () => ({ kind: 'refusing' }), 500, 3_000),
  weather('is slow', 'bus', (r) => ({ kind: 'slow', delayMs: r.between(20, 400) }), 500, 1_500),
  weather('is slow', 'store', (r) => ({ kind: 'slow', delayMs: r.between(20, 400) }), 500, 1_500),
  weather('is silent', 'bus', () => ({ kind: 'silent' }), 1_000, 3_000),
  weather('is silent', 'store', () => ({ kind: 'silent' }), 1_000, 3_000),
  weather('sends twice', 'bus', () => ({ kind: 'doubling' }), 500, 1_500),
  loseReply('bus', 'HPUB muster.v1.batch.'),
  loseReply('store', 'eval'),
];
