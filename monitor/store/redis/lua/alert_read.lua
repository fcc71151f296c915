-- alert_read: KEYS meta transitions alerts silences turn; ARGV count limit everything token|'' lease_ms first_seconds
-- Returns clock, version, cursor, broken, transitions after the last decision, alerts, silences; an empty reply while
-- another token has the turn.
-- Broken is 1 in two cases. (1) Transitions may be lost: the stream was trimmed beyond the last decision, deleted or
-- replaced. Then all transitions in the stream are undecided. (2) There was no decision yet: after a flush, or for the
-- first channel. Then transitions much older than the newest are left out. The cursor is the end of the stream.
-- Alerts are those of the checks with a transition, or all alerts (with everything, or when broken).
-- An entry that is too large is deleted. The cursor then stays at an entry that exists, because a trimmed stream is
-- recognized by a first entry after the cursor.
-- The turn only saves work in other processes. Reading and releasing the turn is one step, so a process that adds a
-- transition while another has the turn can rely on that one to read it.

local limit = tonumber(ARGV[2])

-- The time and the number of an entry's id, as text: they have up to 20 digits, more than a Lua number can express.
local function id(text)
  local time, number = string.match(text or '', '^(%d+)-(%d+)$')
  local function valid(digits)
    return not string.match(digits, '^0%d') and (#digits < 20 or (#digits == 20 and digits <= '18446744073709551615'))
  end
  if time and valid(time) and valid(number) then return time, number end
  return nil
end

local function is_less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

local function is_before(a, b)
  local time, number = id(a)
  local other, others = id(b)
  return is_less(time, other) or (time == other and is_less(number, others))
end

-- The first entry, and the last generated id, even when its entry was deleted; nil without a stream.
local function stream_ends()
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
  return bytes > limit + SHORT_BYTES
end

-- Deletes an entry, unless the script only reads. Returns true when it was deleted.
local function remove_entry(entry)
  return ARGV[4] ~= '' and type(redis.pcall('XDEL', KEYS[2], entry[1])) == 'number'
end

local function values_of(key)
  local _, values = read_fields(key, names_of(key), limit)
  return values
end

local turn = short_string(KEYS[5])
local left = redis.call('PTTL', KEYS[5])
if ARGV[4] ~= '' and turn and turn ~= ARGV[4] and left ~= -1 and left <= 2 * tonumber(ARGV[5]) then return {} end

local version, cursor = short_field(KEYS[1], 'version') or '', short_field(KEYS[1], 'cursor') or ''
if not to_integer(version) then version = '' end
local first, last = stream_ends()
local broken, from, count = 0, '(' .. cursor, tonumber(ARGV[1])
if not id(cursor) then
  broken, from = 1, last and format_integer(math.max(0, id(last) - ARGV[6] * 1000)) or '-'
elseif cursor ~= '0-0' and (not last or is_before(last, cursor) or is_before(cursor, first and first[1] or last)) then
  broken, from = 1, '-'
end
if broken == 1 then
  cursor, count = last or '0-0', MAX_ITEMS -- twice the length of the stream
end

-- The size of an entry is known only after reading it. So the pages grow as long as the entries are small.
local fresh, names, transitions, bytes, step, more = {}, {}, 0, 0, 1, true
while more and transitions < count and #fresh < MAX_ITEMS and bytes < MAX_BYTES do
  local size = math.min(step, count - transitions, MAX_ITEMS - #fresh)
  local page = redis.pcall('XRANGE', KEYS[2], from, '+', 'COUNT', size)
  if page.err then page = {} end
  more, step = #page == size, math.min(2 * step, 1000)
  for _, entry in ipairs(page) do
    from = '(' .. entry[1]
    fresh[#fresh + 1] = '' -- counts an entry of another program, too
    local removed = false
    if is_large(entry) then
      step, removed = 1, remove_entry(entry)
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
      if value and name and #name <= SHORT_BYTES then
        -- The id is CHECK:SEQUENCE:RUN, or CHECK:SEQUENCE of an earlier version. A check's name may contain colons and
        -- digits.
        names[#names + 1] = string.match(name, '^(.*):%d+:[^:]*$')
        names[#names + 1] = string.match(name, '^(.*):%d+$')
      end
    end
    if not removed then cursor = entry[1] end
  end
end

local alerts = {}
if broken == 1 or ARGV[3] == '1' then
  alerts = values_of(KEYS[3])
else
  local _, values = read_fields(KEYS[3], names, limit)
  alerts = values
end

-- Delete a large first entry before the cursor: XINFO would copy it each time.
if first and is_large(first) and is_before(first[1], cursor) then remove_entry(first) end

if ARGV[4] ~= '' then
  if #fresh > 0 or broken == 1 or ARGV[3] == '1' then
    redis.call('SET', KEYS[5], ARGV[4], 'PX', ARGV[5])
  elseif turn then
    redis.call('DEL', KEYS[5])
  end
end
return {format_integer(clock()), version, cursor, broken, fresh, alerts, values_of(KEYS[4])}
