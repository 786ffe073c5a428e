/**
 * Keys of one partition in Redis, and the two scripts that change them. One hash tag, so that a cluster keeps them
 * together; one EVAL, so that a checkpoint changes as a whole or not at all.
 *
 *   muster:{p7}:head     hash: version, commit, head, digest (of head), changed, before_version, before_commit, before_head
 *   muster:{p7}:names    hash: blob name → digest:length
 *   muster:{p7}:c:NAME   the blob of the newest checkpoint
 *   muster:{p7}:p:NAME   the blob of the checkpoint before it, where the newest commit replaced or dropped it
 *
 * `changed` lists what the newest commit changed, a line each: NAME tab old digest:length (empty: it was absent).
 * With it the newest commit can be undone exactly, which is what a damaged blob asks for.
 */
export interface PartitionKeys {
  readonly prefix: string;
  readonly head: string;
  readonly names: string;
  readonly current: (name: string) => string;
  readonly before: (name: string) => string;
}

export function partitionKeys(partition: number): PartitionKeys {
  const prefix = `muster:{p${partition}}:`;
  return {
    prefix,
    head: `${prefix}head`,
    names: `${prefix}names`,
    current: (name) => `${prefix}c:${name}`,
    before: (name) => `${prefix}p:${name}`,
  };
}

/**
 * KEYS head, names. ARGV prefix, expected version and commit (empty: none), version, commit, head, digest of head,
 * number of blobs put, then name, digest:length and bytes of each, then the names dropped.
 * Returns {"committed"} or {"conflict", version, commit}.
 */
export const commitScript = `
local head, names, prefix = KEYS[1], KEYS[2], ARGV[1]
local was = redis.call('HMGET', head, 'version', 'commit', 'head', 'changed')
if (was[1] or '') ~= ARGV[2] or (was[2] or '') ~= ARGV[3] then
  return {'conflict', was[1] or '', was[2] or ''}
end
if was[4] then
  for name in string.gmatch(was[4], '([^\\t\\n]+)\\t[^\\n]*\\n') do redis.call('UNLINK', prefix .. 'p:' .. name) end
end
local changed = {}
local function keep(name)
  local digest = redis.call('HGET', names, name) or ''
  local current = prefix .. 'c:' .. name
  if digest ~= '' and redis.call('EXISTS', current) == 1 then redis.call('RENAME', current, prefix .. 'p:' .. name) end
  changed[#changed + 1] = name .. '\\t' .. digest .. '\\n'
end
local at = 9
for _ = 1, tonumber(ARGV[8]) do
  keep(ARGV[at])
  redis.call('SET', prefix .. 'c:' .. ARGV[at], ARGV[at + 2])
  redis.call('HSET', names, ARGV[at], ARGV[at + 1])
  at = at + 3
end
for i = at, #ARGV do
  keep(ARGV[i])
  redis.call('HDEL', names, ARGV[i])
end
redis.call('HSET', head, 'version', ARGV[4], 'commit', ARGV[5], 'head', ARGV[6], 'digest', ARGV[7], 'changed', table.concat(changed),
  'before_version', was[1] or '', 'before_commit', was[2] or '', 'before_head', was[3] or '')
return {'committed'}
`;

/** KEYS head, names. ARGV prefix, version, commit, digest of the head before. Undoes the newest commit: 1, or 0 when it is another. */
export const undoScript = `
local head, names, prefix = KEYS[1], KEYS[2], ARGV[1]
local was = redis.call('HMGET', head, 'version', 'commit', 'changed', 'before_version', 'before_commit', 'before_head')
if (was[1] or '') ~= ARGV[2] or (was[2] or '') ~= ARGV[3] or not was[3] or not was[4] then return 0 end
for name, digest in string.gmatch(was[3], '([^\\t\\n]+)\\t([^\\n]*)\\n') do
  local current, before = prefix .. 'c:' .. name, prefix .. 'p:' .. name
  if digest == '' then
    redis.call('UNLINK', current)
    redis.call('HDEL', names, name)
  else
    if redis.call('EXISTS', before) == 1 then redis.call('RENAME', before, current) end
    redis.call('HSET', names, name, digest)
  end
end
if was[4] == '' then
  redis.call('UNLINK', head, names)
else
  redis.call('HSET', head, 'version', was[4], 'commit', was[5], 'head', was[6], 'digest', ARGV[4])
  redis.call('HDEL', head, 'changed', 'before_version', 'before_commit', 'before_head')
end
return 1
`;
