-- alert_decide: KEYS meta alerts dead channels; ARGV prefix version cursor kept room changed (check alert|'')*
--               (channel check notice)*
-- Invariant: whoever decides has seen the last decision. Version, cursor, alerts and notices are written together, or
-- nothing is: so what happened is decided once, however many decide. The first write is one a full server refuses.
-- Lanes, one for each channel and check, have names made of the prefix: no cluster has to find them.

sound(KEYS[1], 'hash')
local version = field(KEYS[1], 'version') or ''
if not whole(version) then version = '' end
if version ~= ARGV[2] then return 0 end

local now = clock()
local following = tonumber(version)
-- Counting starts at the clock, so that a version does not come back after a flush.
if not following or following < 1e15 or following > 9e15 then following = now end
redis.call('HSET', KEYS[1], 'version', text(following + 1), 'cursor', ARGV[3])

sound(KEYS[2], 'hash')
sound(KEYS[3], 'list')
if is_bloated(KEYS[3]) then redis.call('DEL', KEYS[3]) end
sound(KEYS[4], 'set')
local changed = tonumber(ARGV[6])
for i = 7, 6 + 2 * changed, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[2], ARGV[i])
  else
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end

-- How many notices wait for a channel. Counted only where the counter says that there are too many, and once.
local counted = {}
local function waiting(channel)
  local total = 0
  local checks = redis.call('ZRANGE', ARGV[1] .. 'due:' .. channel, 0, MOST - 1)
  for _, check in ipairs(checks) do
    local length = redis.pcall('LLEN', ARGV[1] .. 'lane:' .. channel .. '|' .. check)
    if type(length) == 'number' then total = total + length end
  end
  counted[channel] = true
  return total
end

for i = 7 + 2 * changed, #ARGV, 3 do
  local channel, check, notice = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local lane, due = ARGV[1] .. 'lane:' .. channel .. '|' .. check, ARGV[1] .. 'due:' .. channel
  local about = ARGV[1] .. 'channel:' .. channel
  sound(lane, 'list')
  sound(due, 'zset')
  sound(about, 'hash')
  redis.call('SADD', KEYS[4], channel)
  local pending = redis.pcall('HINCRBY', about, 'pending', 1)
  if type(pending) ~= 'number' or pending < 1 then
    pending = 1
    redis.call('HSET', about, 'pending', 1)
  end
  if pending > tonumber(ARGV[5]) and not counted[channel] then
    pending = math.min(pending, waiting(channel) + 1)
    redis.call('HSET', about, 'pending', text(pending))
  end
  if pending > tonumber(ARGV[5]) then
    redis.call('HINCRBY', about, 'pending', -1)
    redis.call('LPUSH', KEYS[3], '{"channel":' .. cjson.encode(channel) .. ',"notice":' .. string.match(notice, '|(.*)$')
      .. ',"reason":"too many notices wait for this channel","attempts":0,"at":' .. text(now / 1e6) .. '}')
    redis.call('LTRIM', KEYS[3], 0, tonumber(ARGV[4]) - 1)
  else
    redis.call('RPUSH', lane, notice)
    redis.call('ZADD', due, 'NX', now, check)
  end
end
return 1
