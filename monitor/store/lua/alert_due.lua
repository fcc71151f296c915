-- alert_due: ARGV prefix channel*
-- Writes nothing. Returns those channels that have something to tell now, and that nobody is at.

local now = clock()
local found = {}
for i = 2, #ARGV do
  local held = redis.pcall('HGET', ARGV[1] .. 'channel:' .. ARGV[i], 'hold')
  held = type(held) == 'string' and tonumber(held) or 0
  -- A flight that would never end is not one of ours.
  if held <= now and redis.call('PTTL', ARGV[1] .. 'flight:' .. ARGV[i]) < 0 then
    local due = redis.pcall('ZRANGEBYSCORE', ARGV[1] .. 'due:' .. ARGV[i], '-inf', text(now), 'LIMIT', 0, 1)
    if #due > 0 then found[#found + 1] = ARGV[i] end
  end
end
return found
