-- Functions that all scripts share. The only clock is the server's, in microseconds since the Unix epoch (exact below
-- 2^53). Another program may have written anything under our keys, so a value of the wrong type counts as absent.

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Limits of what the store writes: the bytes of a short text, the number of channels, and of checks with notices for
-- one channel; then the fields or members that one script reads, the bytes that it reads altogether, and the bytes of a
-- list.
local SHORT_BYTES, MAX_CHANNELS, MAX_CHECKS = 1000, 1000, 1000
local MAX_ITEMS, MAX_BYTES, MAX_LIST_BYTES = 20000, 33554432, 16777216

local function format_integer(number)
  return string.format('%.0f', number)
end

-- Deletes a key of another type. Returns true when the key has this type or is absent.
local function ensure_type(key, kind)
  local found = redis.call('TYPE', key).ok
  if found == kind or found == 'none' then return true end
  redis.call('DEL', key)
  return false
end

-- Returns a short string; nil for anything else.
local function short_string(key)
  local length = redis.pcall('STRLEN', key)
  if type(length) ~= 'number' or length == 0 or length > SHORT_BYTES then return nil end
  return redis.call('GET', key)
end

-- Returns a short field of a hash; nil for anything else.
local function short_field(key, name)
  local length = redis.pcall('HSTRLEN', key, name)
  if type(length) ~= 'number' or length == 0 or length > SHORT_BYTES then return nil end
  return redis.call('HGET', key, name)
end

-- Returns the number that is written in at most 16 digits; nil for anything else.
local function to_integer(value)
  if type(value) ~= 'string' or #value > 16 or not string.match(value, '^%d+$') then return nil end
  return tonumber(value)
end

-- Splits CHECK|HOUR or CHECK|DAY; returns nil for anything else.
local function split_member(member)
  local check, at = string.match(member, '^([A-Za-z0-9_.@:%-]+)|(%d+)$')
  if check and #check <= 200 and #at <= 7 then return check, at end
  return nil
end

-- Returns the names of a hash's fields; some of them when there are too many.
local function names_of(key)
  local size = redis.pcall('HLEN', key)
  if type(size) ~= 'number' then return {} end
  if size <= MAX_ITEMS then return redis.call('HKEYS', key) end
  return redis.call('HRANDFIELD', key, MAX_ITEMS)
end

-- Returns the names that have a value of at most `limit` bytes, their values, and the number of longer ones. With
-- `remove`, deletes the longer and the empty ones.
local function read_fields(key, names, limit, remove)
  local sized, values, bytes, refused = {}, {}, 0, 0
  for _, name in ipairs(names) do
    local length = redis.pcall('HSTRLEN', key, name)
    if type(length) ~= 'number' then return {}, {}, 0 end
    if length > limit or #name > SHORT_BYTES then
      refused = refused + 1
      if remove then redis.call('HDEL', key, name) end
    elseif length > 0 and bytes + length <= MAX_BYTES then
      bytes = bytes + length
      sized[#sized + 1] = name
    elseif length == 0 and remove and redis.call('HDEL', key, name) == 1 then
      refused = refused + 1
    end
  end
  for first = 1, #sized, 1000 do
    for i, raw in ipairs(redis.call('HMGET', key, unpack(sized, first, math.min(first + 999, #sized)))) do
      values[first + i - 1] = raw
    end
  end
  return sized, values, refused
end

-- Returns a block of history; '' for none, or for one of a size that the store would not have written.
local function block_of(key, limit)
  local length = redis.pcall('STRLEN', key)
  if type(length) ~= 'number' or length == 0 or length > limit then return '' end
  return redis.call('GET', key)
end

-- Returns whether a list (an hour's samples, the dead letters) is larger than any that the store writes. Takes a step
-- for each 8 kB and reads no value, because a list does not report the length of its values.
local function is_bloated(key)
  local bytes = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 0)
  return type(bytes) == 'number' and bytes > MAX_LIST_BYTES
end

-- Returns the first samples of a list, with '' for one that is too long. Returns none of a bloated list.
local function lines_of(key)
  if is_bloated(key) then return {} end
  local lines = redis.pcall('LRANGE', key, 0, MAX_ITEMS / 2 - 1)
  if lines.err then return {} end
  for i, line in ipairs(lines) do
    if #line > 2 * SHORT_BYTES then lines[i] = '' end
  end
  return lines
end

-- Returns a field of a hash; '' for none, or for one of a size that the store would not have written.
local function value_of(states, name, limit)
  local length = redis.pcall('HSTRLEN', states, name)
  if type(length) ~= 'number' or length > limit then return '' end
  return redis.call('HGET', states, name) or ''
end

-- Writes a block of history that begins with hour or day `at`, and its size into the index. Returns the growth in
-- bytes.
local function put_block(key, index, member, at, block, expires_at, overhead)
  redis.call('SET', key, block, 'EXAT', expires_at)
  local size = math.min(#block + tonumber(overhead) + #member, 4294967295)
  local before = tonumber(redis.call('ZSCORE', index, member) or '')
  redis.call('ZADD', index, format_integer(tonumber(at) * 4294967296 + size), member)
  return size - (before and before >= 0 and before < 2 ^ 53 and before % 4294967296 or 0)
end

-- Adds to the size of all blocks. An invalid size is deleted, and history_trim computes it again.
local function count_bytes(blocks, grown)
  if type(redis.pcall('HINCRBY', blocks, 'bytes', format_integer(grown))) ~= 'number' then
    redis.call('HDEL', blocks, 'bytes')
  end
end

-- Returns token, time and run id of a flight, stored as token:taken_at:run_id; nil for anything else.
local function holder(flight)
  local token, taken_at, run_id = string.match(short_string(flight) or '', '^(%d+):(%d+):(.*)$')
  if to_integer(token) and to_integer(taken_at) then return token, taken_at, run_id end
  return nil
end
