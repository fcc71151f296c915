-- Functions that all scripts share. Times are microseconds since the Unix epoch by the server's clock. A Lua number
-- holds them exactly below 2^53.
-- Another program may have written to the keys of the store. So a value of the wrong type counts as absent.

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- SHORT_BYTES: largest size of a short text. MAX_CHANNELS: largest number of channels. MAX_CHECKS: largest number of
-- checks with notices for one channel. MAX_ITEMS: largest number of fields or members that a script reads. MAX_BYTES:
-- largest size of all values that a script reads. MAX_LIST_BYTES: largest memory of a list.
local SHORT_BYTES, MAX_CHANNELS, MAX_CHECKS = 1000, 1000, 1000
local MAX_ITEMS, MAX_BYTES, MAX_LIST_BYTES = 20000, 33554432, 16777216

local function format_integer(number)
  return string.format('%.0f', number)
end

-- Deletes the key if it has another type than `kind`. Returns false if it was deleted.
local function ensure_type(key, kind)
  local found = redis.call('TYPE', key).ok
  if found == kind or found == 'none' then return true end
  redis.call('DEL', key)
  return false
end

-- Returns the value of a key; nil if it is no string, empty, or longer than SHORT_BYTES.
local function short_string(key)
  local length = redis.pcall('STRLEN', key)
  if type(length) ~= 'number' or length == 0 or length > SHORT_BYTES then return nil end
  return redis.call('GET', key)
end

-- Returns the value of a hash field; nil if it is absent, empty, or longer than SHORT_BYTES.
local function short_field(key, name)
  local length = redis.pcall('HSTRLEN', key, name)
  if type(length) ~= 'number' or length == 0 or length > SHORT_BYTES then return nil end
  return redis.call('HGET', key, name)
end

-- Converts a string of at most 16 digits to a number. Returns nil for any other value.
local function to_integer(value)
  if type(value) ~= 'string' or #value > 16 or not string.match(value, '^%d+$') then return nil end
  return tonumber(value)
end

-- Splits CHECK|HOUR or CHECK|DAY into check and time. Returns nil for any other value.
local function split_member(member)
  local check, at = string.match(member, '^([A-Za-z0-9_.@:%-]+)|(%d+)$')
  if check and #check <= 200 and #at <= 7 then return check, at end
  return nil
end

-- Returns the names of a hash's fields; MAX_ITEMS random names if the hash has more.
local function names_of(key)
  local size = redis.pcall('HLEN', key)
  if type(size) ~= 'number' then return {} end
  if size <= MAX_ITEMS then return redis.call('HKEYS', key) end
  return redis.call('HRANDFIELD', key, MAX_ITEMS)
end

-- Reads the fields `names` of a hash. Returns the names of the fields that have a value of at most `limit` bytes, their
-- values, and the number of refused fields, which have a longer name or value. With `remove`, deletes the refused
-- fields and the empty ones, and counts the empty ones as refused.
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

-- Returns a block of history; '' if it is absent or longer than `limit` bytes.
local function block_of(key, limit)
  local length = redis.pcall('STRLEN', key)
  if type(length) ~= 'number' or length == 0 or length > limit then return '' end
  return redis.call('GET', key)
end

-- Returns true for a list (an hour's samples, the dead letters) that needs more memory than any list of the store. The
-- server does not return the length of a list's values, so this uses the memory of the key. The cost is one step for
-- each 8 kB.
local function is_bloated(key)
  local bytes = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 0)
  return type(bytes) == 'number' and bytes > MAX_LIST_BYTES
end

-- Returns the first lines of a list of samples, with '' in place of a line that is too long. Returns no lines if the
-- list is bloated.
local function lines_of(key)
  if is_bloated(key) then return {} end
  local lines = redis.pcall('LRANGE', key, 0, MAX_ITEMS / 2 - 1)
  if lines.err then return {} end
  for i, line in ipairs(lines) do
    if #line > 2 * SHORT_BYTES then lines[i] = '' end
  end
  return lines
end

-- Returns the value of a hash field; '' if it is absent or longer than `limit` bytes.
local function value_of(key, name, limit)
  local length = redis.pcall('HSTRLEN', key, name)
  if type(length) ~= 'number' or length > limit then return '' end
  return redis.call('HGET', key, name) or ''
end

-- Writes a block of history, and writes its hour or day `at` and its size into the index. Returns the number of bytes
-- by which the size has grown.
local function put_block(key, index, member, at, block, expires_at, overhead)
  redis.call('SET', key, block, 'EXAT', expires_at)
  local size = math.min(#block + tonumber(overhead) + #member, 4294967295)
  local before = tonumber(redis.call('ZSCORE', index, member) or '')
  redis.call('ZADD', index, format_integer(tonumber(at) * 4294967296 + size), member)
  return size - (before and before >= 0 and before < 2 ^ 53 and before % 4294967296 or 0)
end

-- Adds `grown` to the stored size of all blocks. Deletes an invalid size: history_trim then computes a new one.
local function count_bytes(blocks, grown)
  if type(redis.pcall('HINCRBY', blocks, 'bytes', format_integer(grown))) ~= 'number' then
    redis.call('HDEL', blocks, 'bytes')
  end
end

-- Returns token, taken_at and run_id of a flight, which is stored as token:taken_at:run_id. Returns nil for any other
-- value.
local function holder(flight)
  local token, taken_at, run_id = string.match(short_string(flight) or '', '^(%d+):(%d+):(.*)$')
  if to_integer(token) and to_integer(taken_at) then return token, taken_at, run_id end
  return nil
end
