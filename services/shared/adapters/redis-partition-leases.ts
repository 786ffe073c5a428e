/**
 * Port PartitionLeases on Redis. Two keys with one hash tag, changed by one script each time; times are the server's own.
 *
 *   muster:{leases}:members   hash: name → incarnation, expiry in ms
 *   muster:{leases}:owners    hash: partition → name of the member
 *
 * A lease lasts as long as its member. A member that starts again under its name has what it had: the newer
 * incarnation is the member, the older one learns that it is over.
 */
import { partitionCount } from '../contract/subjects.ts';
import type { LeaseView, PartitionLeases } from '../runtime/ports/partition-leases.ts';
import { connectRedis, type RedisOptions } from './redis-connection.ts';

export interface LeaseOptions extends RedisOptions {
  /** Same for a process and the one that takes its place; of two members at a time it must differ. */
  readonly member: string;
  /** Differs for each process. */
  readonly incarnation: string;
  /** Silence after which a member's partitions are free. */
  readonly lastsMs: number;
}

const keys = ['muster:{leases}:members', 'muster:{leases}:owners'] as const;

/** ARGV name, incarnation, ms, partitions in all, "1" at the first call, then the partitions worked on. */
const renewScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local name, incarnation, all = ARGV[1], ARGV[2], tonumber(ARGV[4])
local mine = redis.call('HGET', KEYS[1], name)
if mine and ARGV[5] ~= '1' and string.match(mine, '^(%S+)') ~= incarnation and tonumber(string.match(mine, ' (%d+)$') or '0') >= now then
  return {-1}
end
redis.call('HSET', KEYS[1], name, incarnation .. ' ' .. string.format('%d', now + ARGV[3]))
local members, count = {}, 0
local listed = redis.call('HGETALL', KEYS[1])
for i = 1, #listed, 2 do
  if tonumber(string.match(listed[i + 1], ' (%d+)$') or '0') >= now then
    members[listed[i]] = true
    count = count + 1
  else redis.call('HDEL', KEYS[1], listed[i]) end
end
local owners = {}
local flat = redis.call('HGETALL', KEYS[2])
for i = 1, #flat, 2 do if members[flat[i + 1]] then owners[tonumber(flat[i])] = flat[i + 1] end end
for i = 6, #ARGV do
  local p = tonumber(ARGV[i])
  if not owners[p] then
    owners[p] = name
    redis.call('HSET', KEYS[2], p, name)
  end
end
local held = 0
for p = 0, all - 1 do if owners[p] == name then held = held + 1 end end
local share = math.ceil(all / count)
for p = 0, all - 1 do
  if held < share and not owners[p] then
    owners[p] = name
    redis.call('HSET', KEYS[2], p, name)
    held = held + 1
  end
end
local answer = {count, math.max(0, held - share)}
for p = 0, all - 1 do if owners[p] == name then answer[#answer + 1] = p end end
return answer
`;

/** ARGV name, incarnation, "1" to leave the list, then the partitions to free. */
const releaseScript = `
local mine = redis.call('HGET', KEYS[1], ARGV[1])
if not mine or string.match(mine, '^(%S+)') ~= ARGV[2] then return 0 end
for i = 4, #ARGV do if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[1] then redis.call('HDEL', KEYS[2], ARGV[i]) end end
if ARGV[3] == '1' then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
`;

export function createRedisPartitionLeases(options: LeaseOptions): PartitionLeases {
  const link = connectRedis(options);
  const { member, incarnation, lastsMs } = options;
  let first = true;
  const release = async (partitions: readonly number[], leave: boolean): Promise<void> => {
    const words = [member, incarnation, leave ? '1' : '', ...partitions.map(String)];
    await link.send('free partitions', (c) => c.eval(releaseScript, 2, ...keys, ...words));
  };
  return {
    async renew(working): Promise<LeaseView | undefined> {
      const words = [member, incarnation, String(lastsMs), String(partitionCount), first ? '1' : ''];
      await link.usable(lastsMs);
      const answer = (await link.send('renew the lease', (c) =>
        c.eval(renewScript, 2, ...keys, ...words, ...working.map(String)),
      )) as number[];
      first = false;
      const [members, surplus, ...held] = answer;
      return members === -1 ? undefined : { members: members!, surplus: surplus!, held };
    },
    release: (partitions) => release(partitions, false),
    leave: () => release([...Array(partitionCount).keys()], true),
    close: () => link.close(),
  };
}
