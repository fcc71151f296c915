-- workers_write: KEYS beacons heartbeats emitted round_state; ARGV round_state count (field sent)* count
--                (node instance field)*
-- Stores the round state. Stores for each (field sent) the time `sent` at which a heartbeat was sent.
-- Then deletes instances of workers: for each (node instance field) the beacon, and `field` in heartbeats and in
-- emitted. A beacon is in the field `node`, or in the field `node.instance` if a newer instance writes to `node`.

for i, kind in ipairs({'hash', 'hash', 'hash', 'string'}) do ensure_type(KEYS[i], kind) end
redis.call('SET', KEYS[4], ARGV[1])
local pairs_end = 2 + 2 * tonumber(ARGV[2])
for from = 3, pairs_end, 1000 do
  redis.call('HSET', KEYS[3], unpack(ARGV, from, math.min(from + 999, pairs_end)))
end
for i = pairs_end + 2, #ARGV, 3 do
  local node, instance = ARGV[i], ARGV[i + 1]
  local newest = string.match(value_of(KEYS[1], node, 70000), '"instance":"(%w*)"') or ''
  if newest == instance then redis.call('HDEL', KEYS[1], node) end
  redis.call('HDEL', KEYS[1], node .. '.' .. instance)
  redis.call('HDEL', KEYS[2], ARGV[i + 2])
  redis.call('HDEL', KEYS[3], ARGV[i + 2])
end
return 1
