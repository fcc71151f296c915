-- alert_read: KEYS meta transitions alerts silences turn; ARGV count limit everything token|'' lease_ms first_seconds
-- What happened after the last decision: clock, version, cursor, broken, transitions, alerts, silences; or nothing when
-- it is somebody else's turn. Broken: some of it may be lost (the stream was trimmed beyond the last decision, deleted
-- or replaced): then all that is in the stream is undecided. Or nothing was ever decided (a flush, or the first channel):
-- then what is much older than the newest transition is left to the states. The cursor is the stream's end.
-- Alerts are those of the checks to which something happened, or all (everything, or broken).
-- An entry that is too large is removed. The cursor then stays at an entry that is left, because a first entry behind
-- the cursor is how a trimmed stream is known.
-- The turn only saves others the work; looking and letting go is one step, so whoever adds a transition while somebody
-- has the turn can be sure that it is seen.

local limit = tonumber(ARGV[2])

-- The two parts of an entry's id, as text: they have up to 20 digits, more than a number keeps.
local function id(text)
  local time, number = string.match(text or '', '^(%d+)-(%d+)$')
  local function valid(part)
    return not string.match(part, '^0%d') and (#part < 20 or (#part == 20 and part <= '18446744073709551615'))
  end
  if time and valid(time) and valid(number) then return time, number end
  return nil
end

local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

local function before(a, b)
  local time, number = id(a)
  local other, others = id(b)
  return less(time, other) or (time == other and less(number, others))
end

-- The first entry, and the id that was given last, also when its entry was deleted; nil without a stream.
local function ends()
  local first, last
  local found = redis.pcall('XINFO', 'STREAM', KEYS[2])
  for i = 1, found.err and 0 or #found, 2 do
    if found[i] == 'last-generated-id' then last = found[i + 1] end
    if found[i] == 'first-entry' then first = found[i + 1] or nil end
  end
  return first, last
end

local function is_large(entry)
  local bytes = 0
  for _, value in ipairs(entry[2]) do bytes = bytes + #value end
  return bytes > limit + SHORT
end

-- Removes an entry, if this is no mere look. True when it is gone.
local function removes(entry)
  return ARGV[4] ~= '' and type(redis.pcall('XDEL', KEYS[2], entry[1])) == 'number'
end

local function all(key)
  local _, values = fields(key, names_of(key), limit)
  return values
end

local turn = short(KEYS[5])
local left = redis.call('PTTL', KEYS[5])
if ARGV[4] ~= '' and turn and turn ~= ARGV[4] and left ~= -1 and left <= 2 * tonumber(ARGV[5]) then return {} end

local version, cursor = field(KEYS[1], 'version') or '', field(KEYS[1], 'cursor') or ''
if not whole(version) then version = '' end
local first, last = ends()
local broken, from, count = 0, '(' .. cursor, tonumber(ARGV[1])
if not id(cursor) then
  broken, from = 1, last and text(math.max(0, id(last) - ARGV[6] * 1000)) or '-'
elseif cursor ~= '0-0' and (not last or before(last, cursor) or before(cursor, first and first[1] or last)) then
  broken, from = 1, '-'
end
if broken == 1 then
  cursor, count = last or '0-0', MOST -- twice what the stream keeps
end

-- Entries are read in steps that grow while they are small: how long one is, is known only once it was read.
local fresh, names, transitions, bytes, step, more = {}, {}, 0, 0, 1, true
while more and transitions < count and #fresh < MOST and bytes < MOST_BYTES do
  local size = math.min(step, count - transitions, MOST - #fresh)
  local page = redis.pcall('XRANGE', KEYS[2], from, '+', 'COUNT', size)
  if page.err then page = {} end
  more, step = #page == size, math.min(2 * step, 1000)
  for _, entry in ipairs(page) do
    from = '(' .. entry[1]
    fresh[#fresh + 1] = '' -- what is none of ours is passed by, like all others
    local removed = false
    if is_large(entry) then
      step, removed = 1, removes(entry)
    else
      local value, name
      for i = 1, #entry[2], 2 do
        if entry[2][i] == 'transition' then value = entry[2][i + 1] end
        if entry[2][i] == 'id' then name = entry[2][i + 1] end
      end
      if value then
        fresh[#fresh] = value
        transitions, bytes = transitions + 1, bytes + #value
      end
      if value and name and #name <= SHORT then
        -- CHECK:SEQUENCE:RUN, or CHECK:SEQUENCE of an earlier version; a check's name may hold colons and digits itself.
        names[#names + 1] = string.match(name, '^(.*):%d+:[^:]*$')
        names[#names + 1] = string.match(name, '^(.*):%d+$')
      end
    end
    if not removed then cursor = entry[1] end
  end
end

local alerts = {}
if broken == 1 or ARGV[3] == '1' then
  alerts = all(KEYS[3])
else
  local _, values = fields(KEYS[3], names, limit)
  alerts = values
end

-- Too large and passed by long ago: XINFO would copy it each time.
if first and is_large(first) and before(first[1], cursor) then removes(first) end

if ARGV[4] ~= '' then
  if #fresh > 0 or broken == 1 or ARGV[3] == '1' then
    redis.call('SET', KEYS[5], ARGV[4], 'PX', ARGV[5])
  elseif turn then
    redis.call('DEL', KEYS[5])
  end
end
return {text(clock()), version, cursor, broken, fresh, alerts, all(KEYS[4])}
