-- alert_overview: KEYS alerts silences dead channels; ARGV prefix letters limit
-- Writes nothing. Returns the clock, the alerts, the silences, the first `letters` dead letters, the number of all dead
-- letters, and for each channel {name, number of pending notices, time of the oldest notice, failures, hold, reason}.

local function values(key)
  local _, found = read_fields(key, names_of(key), tonumber(ARGV[3]))
  return found
end

local queues = {}
local channels = redis.pcall('SRANDMEMBER', KEYS[4], MAX_CHANNELS)
if channels.err then channels = {} end
table.sort(channels)
for _, channel in ipairs(channels) do
  local counters = {}
  for i, name in ipairs({'pending', 'failures', 'hold', 'reason'}) do
    counters[i] = short_field(ARGV[1] .. 'channel:' .. channel, name) or false
  end
  local oldest = nil
  local due = redis.pcall('ZRANGE', ARGV[1] .. 'due:' .. channel, 0, 999)
  for _, check in ipairs(due.err and {} or due) do
    local head = redis.pcall('LINDEX', ARGV[1] .. 'lane:' .. channel .. '|' .. check, 0)
    local since = type(head) == 'string' and to_integer(string.match(head, '^(%d+)|'))
    if since and (not oldest or since < oldest) then oldest = since end
  end
  queues[#queues + 1] = {channel, counters[1] or '0', oldest and format_integer(oldest) or '',
    counters[2] or '0', counters[3] or '', counters[4] or ''}
end
local dead = is_bloated(KEYS[3]) and {} or redis.pcall('LRANGE', KEYS[3], 0, tonumber(ARGV[2]) - 1)
for i, letter in ipairs(dead.err and {} or dead) do
  if #letter > 2 * tonumber(ARGV[3]) then dead[i] = '' end
end
local count = redis.pcall('LLEN', KEYS[3])
if dead.err then dead, count = {}, 0 end
return {format_integer(clock()), values(KEYS[1]), values(KEYS[2]), dead, count, queues}
