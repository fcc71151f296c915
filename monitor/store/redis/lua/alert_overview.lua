-- alert_overview: KEYS alerts silences dead channels; ARGV prefix letters limit
-- Writes nothing. Returns clock, alerts, silences, dead letters, how many of them, and for each channel with something
-- to tell: name, pending, since when the oldest waits, failures, hold, reason.

local function values(key)
  local _, found = fields(key, names_of(key), tonumber(ARGV[3]))
  return found
end

local lanes = {}
local channels = redis.pcall('SRANDMEMBER', KEYS[4], SHORT)
if channels.err then channels = {} end
table.sort(channels)
for _, channel in ipairs(channels) do
  local about = {}
  for i, name in ipairs({'pending', 'failures', 'hold', 'reason'}) do
    about[i] = field(ARGV[1] .. 'channel:' .. channel, name) or false
  end
  local oldest = nil
  local due = redis.pcall('ZRANGE', ARGV[1] .. 'due:' .. channel, 0, 999)
  for _, check in ipairs(due.err and {} or due) do
    local head = redis.pcall('LINDEX', ARGV[1] .. 'lane:' .. channel .. '|' .. check, 0)
    local since = type(head) == 'string' and whole(string.match(head, '^(%d+)|'))
    if since and (not oldest or since < oldest) then oldest = since end
  end
  lanes[#lanes + 1] = {channel, about[1] or '0', oldest and text(oldest) or '', about[2] or '0', about[3] or '',
    about[4] or ''}
end
local dead = is_bloated(KEYS[3]) and {} or redis.pcall('LRANGE', KEYS[3], 0, tonumber(ARGV[2]) - 1)
for i, letter in ipairs(dead.err and {} or dead) do
  if #letter > 2 * tonumber(ARGV[3]) then dead[i] = '' end
end
local count = redis.pcall('LLEN', KEYS[3])
if dead.err then dead, count = {}, 0 end
return {text(clock()), values(KEYS[1]), values(KEYS[2]), dead, count, lanes}
