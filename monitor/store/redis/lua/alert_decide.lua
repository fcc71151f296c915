-- alert_decide: KEYS meta alerts dead channels; ARGV prefix version cursor dead_letters_kept pending_kept changed
--               (check alert|'')*changed (channel check notice)*
-- Writes a decision if the stored version is still the given one. Returns 1, or 0 if it is not.
-- Invariant: version, cursor, alerts and notices are written together or not at all. So each transition is decided
-- once, however many processes decide. A full server refuses the first write, so no script stops halfway.
-- A lane is the list of the notices of one check for one channel. The script makes the keys of lanes from the prefix.

ensure_type(KEYS[1], 'hash')
local version = short_field(KEYS[1], 'version') or ''
if not to_integer(version) then version = '' end
if version ~= ARGV[2] then return 0 end

local now = clock()
local following = tonumber(version)
-- The first version is the clock's time, so that no version repeats after a flush.
if not following or following < 1e15 or following > 9e15 then following = now end
redis.call('HSET', KEYS[1], 'version', format_integer(following + 1), 'cursor', ARGV[3])

ensure_type(KEYS[2], 'hash')
ensure_type(KEYS[3], 'list')
if is_bloated(KEYS[3]) then redis.call('DEL', KEYS[3]) end
ensure_type(KEYS[4], 'set')
local changed = tonumber(ARGV[6])
for i = 7, 6 + 2 * changed, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[2], ARGV[i])
  else
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end

-- Returns the number of notices that wait for a channel. This is expensive: it is called only when the stored counter
-- exceeds the limit, and at most once for each channel.
local is_counted = {}
local function waiting(channel)
  local total = 0
  local checks = redis.call('ZRANGE', ARGV[1] .. 'due:' .. channel, 0, MAX_ITEMS - 1)
  for _, check in ipairs(checks) do
    local length = redis.pcall('LLEN', ARGV[1] .. 'lane:' .. channel .. '|' .. check)
    if type(length) == 'number' then total = total + length end
  end
  is_counted[channel] = true
  return total
end

for i = 7 + 2 * changed, #ARGV, 3 do
  local channel, check, notice = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local lane, due = ARGV[1] .. 'lane:' .. channel .. '|' .. check, ARGV[1] .. 'due:' .. channel
  local channel_key = ARGV[1] .. 'channel:' .. channel
  ensure_type(lane, 'list')
  ensure_type(due, 'zset')
  ensure_type(channel_key, 'hash')
  redis.call('SADD', KEYS[4], channel)
  local pending = redis.pcall('HINCRBY', channel_key, 'pending', 1)
  if type(pending) ~= 'number' or pending < 1 then
    pending = 1
    redis.call('HSET', channel_key, 'pending', 1)
  end
  if pending > tonumber(ARGV[5]) and not is_counted[channel] then
    pending = math.min(pending, waiting(channel) + 1)
    redis.call('HSET', channel_key, 'pending', format_integer(pending))
  end
  if pending > tonumber(ARGV[5]) then
    redis.call('HINCRBY', channel_key, 'pending', -1)
    redis.call('LPUSH', KEYS[3],
      '{"channel":' .. cjson.encode(channel) .. ',"notice":' .. string.match(notice, '|(.*)$')
      .. ',"reason":"too many notices wait for this channel","attempts":0,"at":' .. format_integer(now / 1e6) .. '}')
    redis.call('LTRIM', KEYS[3], 0, tonumber(ARGV[4]) - 1)
  else
    redis.call('RPUSH', lane, notice)
    redis.call('ZADD', due, 'NX', now, check)
  end
end
return 1
