-- alert_read: KEYS meta transitions alerts silences turn; ARGV count limit everything token|'' lease_ms first_seconds
-- What happened after the last decision: clock, version, cursor, broken, transitions, alerts, silences; or nothing when
-- it is somebody else's turn. Broken: some of it may be lost (the stream was trimmed beyond the last decision, deleted
-- or replaced): then all that is in the stream is undecided. Or nothing was ever decided (a flush, or the first channel):
-- then what is much older than the newest transition is left to the states. The cursor is the stream's end.
-- Alerts are those of the checks to which something happened, or all (everything, or broken).
-- The turn only saves others the work; looking and letting go is one step, so whoever adds a transition while somebody
-- has the turn can be sure that it is seen.

local function id(text)
  local time, number = string.match(text or '', '^(%d+)-(%d+)$')
  return tonumber(time), tonumber(number)
end

local function before(a, b)
  local time, number = id(a)
  local other, others = id(b)
  return time < other or (time == other and number < others)
end

local function edge(command, from, to)
  local found = redis.pcall(command, KEYS[2], from, to, 'COUNT', 1)
  return found.err == nil and found[1] and found[1][1] or nil
end

local function sized(values)
  local answer = {}
  for _, value in ipairs(values.err and {} or values) do
    if value and #value <= tonumber(ARGV[2]) then answer[#answer + 1] = value end
  end
  return answer
end

local turn = redis.pcall('GET', KEYS[5])
if ARGV[4] ~= '' and type(turn) == 'string' and turn ~= ARGV[4] and redis.call('PTTL', KEYS[5]) ~= -1 then return {} end

local meta = redis.pcall('HMGET', KEYS[1], 'version', 'cursor')
local version, cursor = meta[1] or '', meta[2] or ''
local first, last = edge('XRANGE', '-', '+'), edge('XREVRANGE', '+', '-')
local broken, from, count = 0, '(' .. cursor, ARGV[1]
if not id(cursor) then
  broken, from = 1, last and text(math.max(0, id(last) - ARGV[6] * 1000)) or '-'
elseif cursor ~= '0-0' and (not first or before(cursor, first) or before(last, cursor)) then
  broken, from = 1, '-'
end
if broken == 1 then
  cursor, count = last or '0-0', '1000000' -- the stream has a length of its own
end

local fresh, names = {}, {}
local page = redis.pcall('XRANGE', KEYS[2], from, '+', 'COUNT', count)
for _, entry in ipairs(page.err and {} or page) do
  cursor = entry[1]
  for i = 1, #entry[2], 2 do
    local value = entry[2][i + 1]
    if entry[2][i] == 'transition' and #value <= tonumber(ARGV[2]) then
      fresh[#fresh + 1] = value
    elseif entry[2][i] == 'id' then
      -- CHECK:SEQUENCE:RUN, or CHECK:SEQUENCE of an earlier version; a check's name may hold colons and digits itself.
      names[#names + 1] = string.match(value, '^(.*):%d+:[^:]*$')
      names[#names + 1] = string.match(value, '^(.*):%d+$')
    end
  end
end

local alerts = {}
if broken == 1 or ARGV[3] == '1' then
  alerts = redis.pcall('HVALS', KEYS[3])
elseif #names > 0 then
  alerts = redis.pcall('HMGET', KEYS[3], unpack(names))
end

if ARGV[4] ~= '' then
  if #fresh > 0 or broken == 1 or ARGV[3] == '1' then
    redis.call('SET', KEYS[5], ARGV[4], 'PX', ARGV[5])
  elseif turn then
    redis.call('DEL', KEYS[5])
  end
end
return {text(clock()), version, cursor, broken, fresh, sized(alerts), sized(redis.pcall('HVALS', KEYS[4]))}
