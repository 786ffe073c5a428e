/** Port HostMarks on Redis: one hash, muster:hosts:forgotten, host → Unix ms. The only thing that the query service writes. */
import type { HostMarks } from '../runtime/ports/host-marks.ts';
import { connectRedis, type RedisOptions } from './redis-connection.ts';

const key = 'muster:hosts:forgotten';

export function createRedisHostMarks(options: RedisOptions): HostMarks & { close(): Promise<void> } {
  const link = connectRedis(options);
  return {
    async forgotten() {
      const found = await link.send('read forgotten hosts', (c) => c.hgetall(key));
      return new Map(Object.entries(found).map(([host, ms]) => [host, Number(ms)]));
    },
    async forget(host, mergedMs) {
      await link.send('forget a host', (c) => c.hset(key, host, String(mergedMs)));
    },
    async unmark(hosts) {
      if (hosts.length > 0) await link.send('take marks of hosts away', (c) => c.hdel(key, ...hosts));
    },
    close: () => link.close(),
  };
}
