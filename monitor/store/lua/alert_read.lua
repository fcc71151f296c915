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

local function first_id()
  local found = redis.pcall('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
  return found.err == nil and found[1] and found[1][1] or nil
end

-- The id that was given last, also when its entry was deleted; nil without a stream.
local function last_id()
  local found = redis.pcall('XINFO', 'STREAM', KEYS[2])
  for i = 1, found.err and 0 or #found, 2 do
    if found[i] == 'last-generated-id' then return found[i + 1] end
  end
end

local function all(key)
  local _, values = fields(key, names_of(key), tonumber(ARGV[2]))
  return values
end

local turn = short(KEYS[5])
local left = redis.call('PTTL', KEYS[5])
if ARGV[4] ~= '' and turn and turn ~= ARGV[4] and left ~= -1 and left <= 2 * tonumber(ARGV[5]) then return {} end

local version, cursor = field(KEYS[1], 'version') or '', field(KEYS[1], 'cursor') or ''
if not whole(version) then version = '' end
local first, last = first_id(), last_id()
local broken, from, count = 0, '(' .. cursor, ARGV[1]
if not id(cursor) then
  broken, from = 1, last and text(math.max(0, id(last) - ARGV[6] * 1000)) or '-'
elseif cursor ~= '0-0' and (not last or before(last, cursor) or before(cursor, first or last)) then
  broken, from = 1, '-'
end
if broken == 1 then
  cursor, count = last or '0-0', '20000' -- twice what the stream keeps
end

local fresh, names = {}, {}
local page = redis.pcall('XRANGE', KEYS[2], from, '+', 'COUNT', count)
for _, entry in ipairs(page.err and {} or page) do
  cursor = entry[1]
  fresh[#fresh + 1] = '' -- what is none of ours is passed by, like all others
  for i = 1, #entry[2], 2 do
    local value = entry[2][i + 1]
    if #value > tonumber(ARGV[2]) then
      if ARGV[4] ~= '' then redis.call('XDEL', KEYS[2], entry[1]) end
    elseif entry[2][i] == 'transition' then
      fresh[#fresh] = value
    elseif entry[2][i] == 'id' then
      -- CHECK:SEQUENCE:RUN, or CHECK:SEQUENCE of an earlier version; a check's name may hold colons and digits itself.
      names[#names + 1] = string.match(value, '^(.*):%d+:[^:]*$')
      names[#names + 1] = string.match(value, '^(.*):%d+$')
    end
  end
end

local alerts = {}
if broken == 1 or ARGV[3] == '1' then
  alerts = all(KEYS[3])
else
  local _, values = fields(KEYS[3], names, tonumber(ARGV[2]))
  alerts = values
end

if ARGV[4] ~= '' then
  if #fresh > 0 or broken == 1 or ARGV[3] == '1' then
    redis.call('SET', KEYS[5], ARGV[4], 'PX', ARGV[5])
  elseif turn then
    redis.call('DEL', KEYS[5])
  end
end
return {text(clock()), version, cursor, broken, fresh, alerts, all(KEYS[4])}
