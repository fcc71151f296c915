-- alert_read: KEYS meta transitions alerts silences; ARGV count limit
-- Writes nothing. Returns clock, version, cursor, broken, more, transitions, alerts, silences: what happened after the
-- last decision. Broken: some of it may be lost (the stream was trimmed beyond the last decision, deleted, or is an
-- older one after a fail-over), or nothing was ever decided; then the cursor is the stream's end.

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

local function sized(key)
  local answer = {}
  local all = redis.pcall('HGETALL', key)
  if all.err then return answer end
  for i = 2, #all, 2 do
    if #all[i] <= tonumber(ARGV[2]) then answer[#answer + 1] = all[i] end
  end
  return answer
end

local meta = redis.pcall('HMGET', KEYS[1], 'version', 'cursor')
local version, cursor = meta[1] or '', meta[2] or ''
local first, last = edge('XRANGE', '-', '+'), edge('XREVRANGE', '+', '-')
local broken = 0
if not id(cursor) or (cursor ~= '0-0' and (not first or before(cursor, first) or before(last, cursor))) then
  broken, cursor = 1, last or '0-0'
end

local fresh, more = {}, 0
if broken == 0 then
  local page = redis.pcall('XRANGE', KEYS[2], '(' .. cursor, '+', 'COUNT', tonumber(ARGV[1]) + 1)
  if page.err then page = {} end
  for n, entry in ipairs(page) do
    if n > tonumber(ARGV[1]) then more = 1 break end
    cursor = entry[1]
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'transition' and #entry[2][i + 1] <= tonumber(ARGV[2]) then
        fresh[#fresh + 1] = entry[2][i + 1]
      end
    end
  end
end
return {text(clock()), version, cursor, broken, more, fresh, sized(KEYS[3]), sized(KEYS[4])}
