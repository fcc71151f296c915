-- alert_read: KEYS meta transitions alerts silences turn; ARGV count limit all_alerts token|'' lease_ms first_seconds
-- Returns {clock, version, cursor, incomplete, transitions, alerts, silences}, or {} while another token has the turn.
-- Transitions: those after the cursor of the last decision.
-- Incomplete is 1 in two cases, else 0. In both cases the returned cursor is the end of the stream.
--   1. Transitions may be lost: the stream was deleted or replaced, or entries after the cursor were trimmed. All
--      transitions in the stream are returned.
--   2. No decision was made yet: the store was flushed, or the first channel was configured. Transitions that are
--      older than the newest by more than first_seconds are not returned.
-- Alerts: those of the checks with a returned transition. All alerts if all_alerts or incomplete is 1.
-- Silences: all.
-- Entries that are too large are deleted. The returned cursor is never the id of a deleted entry: if the first entry of
-- the stream is after the cursor, the stream counts as trimmed.
-- The turn prevents that several processes do the same work. A call that finds no transition releases the turn in the
-- same step. So a process that adds a transition while another process has the turn does not have to decide about it:
-- the holder of the turn reads it.

local limit = tonumber(ARGV[2])

-- Returns the time and the number of an entry's id, as text: both have up to 20 digits, too many for a Lua number.
-- Returns nil if the text is no id.
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

-- Returns the first entry of the stream, and the last id that the stream has generated, even if that entry was deleted.
-- Returns nil if there is no stream.
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

-- Deletes an entry if the caller has a token. Returns true when the entry was deleted.
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
local incomplete, from, count = 0, '(' .. cursor, tonumber(ARGV[1])
if not id(cursor) then
  incomplete, from = 1, last and format_integer(math.max(0, id(last) - ARGV[6] * 1000)) or '-'
elseif cursor ~= '0-0' and (not last or is_before(last, cursor) or is_before(cursor, first and first[1] or last)) then
  incomplete, from = 1, '-'
end
if incomplete == 1 then
  cursor, count = last or '0-0', MAX_ITEMS -- twice the length of the stream
end

-- The size of an entry is known only after it was read. So the first page has one entry, and each page is twice as long
-- as the one before, until an entry is too large.
local fresh, names, transitions, bytes, step, more = {}, {}, 0, 0, 1, true
while more and transitions < count and #fresh < MAX_ITEMS and bytes < MAX_BYTES do
  local size = math.min(step, count - transitions, MAX_ITEMS - #fresh)
  local page = redis.pcall('XRANGE', KEYS[2], from, '+', 'COUNT', size)
  if page.err then page = {} end
  more, step = #page == size, math.min(2 * step, 1000)
  for _, entry in ipairs(page) do
    from = '(' .. entry[1]
    fresh[#fresh + 1] = '' -- '' stands for an entry that has no transition, from another program
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
        -- The id is CHECK:SEQUENCE:RUN, or CHECK:SEQUENCE in earlier versions. The check's name may contain colons and
        -- digits, so both formats are tried.
        names[#names + 1] = string.match(name, '^(.*):%d+:[^:]*$')
        names[#names + 1] = string.match(name, '^(.*):%d+$')
      end
    end
    if not removed then cursor = entry[1] end
  end
end

local alerts = {}
if incomplete == 1 or ARGV[3] == '1' then
  alerts = values_of(KEYS[3])
else
  local _, values = read_fields(KEYS[3], names, limit)
  alerts = values
end

-- Delete the first entry if it is large and before the cursor: each XINFO would copy it.
if first and is_large(first) and is_before(first[1], cursor) then remove_entry(first) end

if ARGV[4] ~= '' then
  if #fresh > 0 or incomplete == 1 or ARGV[3] == '1' then
    redis.call('SET', KEYS[5], ARGV[4], 'PX', ARGV[5])
  elseif turn then
    redis.call('DEL', KEYS[5])
  end
end
return {format_integer(clock()), version, cursor, incomplete, fresh, alerts, values_of(KEYS[4])}
