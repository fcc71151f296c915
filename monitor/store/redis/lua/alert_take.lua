-- alert_take: KEYS flight about due; ARGV token lease_ms lanes limit kept
-- Invariant: one deliverer at a time has a channel, so one that does not answer holds up one worker's slot; and the
-- notices of one check leave in order. Looking and letting go is one step: whoever adds a notice while somebody has
-- the channel can be sure that it is seen.
-- What is no notice by the look of it is removed on the way, and of a lane what is more than the notices that may wait.
-- Returns what to do and how much was removed: 'again' when that was all that there was time for.

local now = clock()
local holding = short(KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if holding and holding ~= ARGV[1] and left ~= -1 and left <= 10 * tonumber(ARGV[2]) + 6e4 then return {'busy', 0} end

local removed = 0
local function leave(why)
  if holding then redis.call('DEL', KEYS[1]) end
  return {why, removed}
end

sound(KEYS[2], 'hash')
sound(KEYS[3], 'zset')
local held = whole(field(KEYS[2], 'hold'))
if held and held > now and held < now + 864e8 then return leave('held') end

for _ = 1, MOST / 4 do
  local check = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', text(now), 'LIMIT', 0, 1)[1]
  if not check then
    if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('HDEL', KEYS[2], 'pending') end -- whatever it was
    return leave('idle')
  end
  local lane = ARGV[3] .. check
  sound(lane, 'list')
  local beyond = redis.call('LLEN', lane) - ARGV[5]
  if beyond > 0 then
    redis.call('LTRIM', lane, beyond, -1)
    removed = removed + beyond
  end
  local notice = redis.call('LINDEX', lane, 0)
  if notice and #notice <= tonumber(ARGV[4]) and string.match(notice, '^%d+|{"') then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    local tries, failures = field(KEYS[2], 'tries:' .. check), field(KEYS[2], 'failures')
    return {'notice', removed, check, notice, tries or '0', failures or '0', text(now)}
  end
  if notice then
    redis.call('LPOP', lane)
    removed = removed + 1
  else
    redis.call('ZREM', KEYS[3], check)
  end
end
return {'again', removed}
