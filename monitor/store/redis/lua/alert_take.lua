-- alert_take: KEYS flight channel due; ARGV token lease_ms lane_prefix limit pending_kept
-- Takes or renews the lease on a channel and returns its next notice. Releases the channel if no notice is due.
-- Invariants:
--   1. One process at a time delivers to a channel. So a channel that does not answer blocks one slot only.
--   2. The notices of a check are delivered in order.
--   3. Searching for a due notice and releasing the channel is one step. So a process that adds a notice while another
--      process holds the channel does not have to deliver the notice: the holder finds it.
-- Deletes invalid notices. If a lane has more than pending_kept notices, deletes the oldest.
-- Returns {result, number of deleted notices, ...}. The result is 'notice' (then check, notice, tries, failures and
-- clock follow), 'busy' (another token holds the channel), 'held', 'idle' (no notice is due), or 'again' (the script
-- reached its limit, call it again).

local now = clock()
local holding = short_string(KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if holding and holding ~= ARGV[1] and left ~= -1 and left <= 10 * tonumber(ARGV[2]) + 6e4 then return {'busy', 0} end

local removed = 0
local function leave(result)
  if holding then redis.call('DEL', KEYS[1]) end
  return {result, removed}
end

ensure_type(KEYS[2], 'hash')
ensure_type(KEYS[3], 'zset')
local held = to_integer(short_field(KEYS[2], 'hold'))
if held and held > now and held < now + 864e8 then return leave('held') end

for _ = 1, MAX_ITEMS / 4 do
  local check = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', format_integer(now), 'LIMIT', 0, 1)[1]
  if not check then
    if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('HDEL', KEYS[2], 'pending') end -- deletes a wrong counter
    return leave('idle')
  end
  local lane = ARGV[3] .. check
  ensure_type(lane, 'list')
  local beyond = redis.call('LLEN', lane) - ARGV[5]
  if beyond > 0 then
    redis.call('LTRIM', lane, beyond, -1)
    removed = removed + beyond
  end
  local notice = redis.call('LINDEX', lane, 0)
  if notice and #notice <= tonumber(ARGV[4]) and string.match(notice, '^%d+|{"') then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    local tries, failures = short_field(KEYS[2], 'tries:' .. check), short_field(KEYS[2], 'failures')
    return {'notice', removed, check, notice, tries or '0', failures or '0', format_integer(now)}
  end
  if notice then
    redis.call('LPOP', lane)
    removed = removed + 1
  else
    redis.call('ZREM', KEYS[3], check)
  end
end
return {'again', removed}
