-- alert_read: KEYS meta transitions alerts silences turn; ARGV count limit everything token|'' lease_ms
-- What happened after the last decision: clock, version, cursor, broken, transitions, alerts, silences; or nothing when
-- it is somebody else's turn. Broken: some of it may be lost (the stream was trimmed beyond the last decision, deleted,
-- or is an older one after a fail-over), or nothing was ever decided; then the cursor is the stream's end.
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

local function all(key)
  local _, values = fields(key, names_of(key), tonumber(ARGV[2]))
  return values
end

local turn = short(KEYS[5])
local left = redis.call('PTTL', KEYS[5])
if ARGV[4] ~= '' and turn and turn ~= ARGV[4] and left ~= -1 and left <= 2 * tonumber(ARGV[5]) then return {} end

local version, cursor = field(KEYS[1], 'version') or '', field(KEYS[1], 'cursor') or ''
if not whole(version) then version = '' end
local first, last = edge('XRANGE', '-', '+'), edge('XREVRANGE', '+', '-')
local broken = 0
if not id(cursor) or (cursor ~= '0-0' and (not first or before(cursor, first) or before(last, cursor))) then
  broken, cursor = 1, last or '0-0'
end

local fresh, names = {}, {}
if broken == 0 then
  local page = redis.pcall('XRANGE', KEYS[2], '(' .. cursor, '+', 'COUNT', ARGV[1])
  for _, entry in ipairs(page.err and {} or page) do
    cursor = entry[1]
    fresh[#fresh + 1] = '' -- what is none of ours is passed by, like all others
    for i = 1, #entry[2], 2 do
      if #entry[2][i + 1] > tonumber(ARGV[2]) then
        if ARGV[4] ~= '' then redis.call('XDEL', KEYS[2], entry[1]) end
      elseif entry[2][i] == 'transition' then
        fresh[#fresh] = entry[2][i + 1]
      elseif entry[2][i] == 'id' then
        names[#names + 1] = string.match(entry[2][i + 1], '^(.*):%d+$')
      end
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
