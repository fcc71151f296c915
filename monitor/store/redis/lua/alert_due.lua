-- alert_due: ARGV prefix channel*
-- Writes nothing. Returns those channels that have something to tell now, and that nobody is at.

local now = clock()
local found = {}
for i = 2, #ARGV do
  local held = whole(field(ARGV[1] .. 'channel:' .. ARGV[i], 'hold')) or 0
  local left = redis.call('PTTL', ARGV[1] .. 'flight:' .. ARGV[i])
  -- A flight that would never end, or a pause that would last for days, is not one of ours.
  if (held <= now or held > now + 864e8) and (left < 0 or left > 72e5) then
    local due = redis.pcall('ZRANGEBYSCORE', ARGV[1] .. 'due:' .. ARGV[i], '-inf', text(now), 'LIMIT', 0, 1)
    if #due > 0 then found[#found + 1] = ARGV[i] end
  end
end
return found
