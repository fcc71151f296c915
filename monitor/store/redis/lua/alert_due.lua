-- alert_due: ARGV prefix channel*
-- Writes nothing. Returns the channels that have a notice to deliver now and that no process holds.

local now = clock()
local found = {}
for i = 2, #ARGV do
  local held = to_integer(short_field(ARGV[1] .. 'channel:' .. ARGV[i], 'hold')) or 0
  local left = redis.call('PTTL', ARGV[1] .. 'flight:' .. ARGV[i])
  -- Ignored, because another program wrote them: a flight without an expiry, and a hold of more than a day.
  if (held <= now or held > now + 864e8) and (left < 0 or left > 72e5) then
    local due = redis.pcall('ZRANGEBYSCORE', ARGV[1] .. 'due:' .. ARGV[i], '-inf', format_integer(now), 'LIMIT', 0, 1)
    if #due > 0 then found[#found + 1] = ARGV[i] end
  end
end
return found
