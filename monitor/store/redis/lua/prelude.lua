-- Shared by all scripts. The one clock is the server's, in microseconds since the epoch (exact below 2^53).
-- Anybody may have written anything under our keys: what is of the wrong type is as good as absent.

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Sizes beyond which nothing is ours: a short text in bytes, the fields or members that one script looks at, and what
-- it reads altogether, in bytes.
local SHORT, MOST, MOST_BYTES, LIST_BYTES = 1000, 20000, 33554432, 16777216

local function text(number)
  return string.format('%.0f', number)
end

-- Removes a key of the wrong type. True when the key was sound, or absent.
local function sound(key, kind)
  local found = redis.call('TYPE', key).ok
  if found == kind or found == 'none' then return true end
  redis.call('DEL', key)
  return false
end

-- A string of a short length; nil for anything else.
local function short(key)
  local length = redis.pcall('STRLEN', key)
  if type(length) ~= 'number' or length == 0 or length > SHORT then return nil end
  return redis.call('GET', key)
end

-- A field of a short length; nil for anything else.
local function field(key, name)
  local length = redis.pcall('HSTRLEN', key, name)
  if type(length) ~= 'number' or length == 0 or length > SHORT then return nil end
  return redis.call('HGET', key, name)
end

-- What is written in at most 16 digits, as a number; nil for anything else.
local function whole(value)
  if type(value) ~= 'string' or #value > 16 or not string.match(value, '^%d+$') then return nil end
  return tonumber(value)
end

-- The two parts of CHECK|HOUR and CHECK|DAY; nil for anything else.
local function place_of(member)
  local check, at = string.match(member, '^([A-Za-z0-9_.@:%-]+)|(%d+)$')
  if check and #check <= 200 and #at <= 7 then return check, at end
  return nil
end

-- The names of a hash's fields; some of them when there are too many.
local function names_of(key)
  local size = redis.pcall('HLEN', key)
  if type(size) ~= 'number' then return {} end
  if size <= MOST then return redis.call('HKEYS', key) end
  return redis.call('HRANDFIELD', key, MOST)
end

-- Which of these fields have a value of at most `limit` bytes, and the values; and how many were too long. These are
-- removed, if asked for.
local function fields(key, names, limit, remove)
  local sized, values, bytes, refused = {}, {}, 0, 0
  for _, name in ipairs(names) do
    local length = redis.pcall('HSTRLEN', key, name)
    if type(length) ~= 'number' then return {}, {}, 0 end
    if length > limit or #name > SHORT then
      refused = refused + 1
      if remove then redis.call('HDEL', key, name) end
    elseif length > 0 and bytes + length <= MOST_BYTES then
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

-- A block of history; '' when there is none, or none of a size that we would have written.
local function block_of(key, limit)
  local length = redis.pcall('STRLEN', key)
  if type(length) ~= 'number' or length == 0 or length > limit then return '' end
  return redis.call('GET', key)
end

-- Whether a list (the samples of an hour, the dead letters) occupies more than any of ours does. Costs a step for each
-- 8 kB, and reads no value: a list cannot tell how long one is.
local function is_bloated(key)
  local bytes = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 0)
  return type(bytes) == 'number' and bytes > LIST_BYTES
end

-- The first samples of a list; '' in place of one that is too long. None of a list that is bloated.
local function lines_of(key)
  if is_bloated(key) then return {} end
  local lines = redis.pcall('LRANGE', key, 0, MOST / 2 - 1)
  if lines.err then return {} end
  for i, line in ipairs(lines) do
    if #line > 2 * SHORT then lines[i] = '' end
  end
  return lines
end

-- A state's raw value; '' when there is none, or none of a size that we would have written.
local function readable(states, name, limit)
  local length = redis.pcall('HSTRLEN', states, name)
  if type(length) ~= 'number' or length > limit then return '' end
  return redis.call('HGET', states, name) or ''
end

-- Writes a block of history, which began with hour or day `at`, and its size into the index.
-- Returns by how many bytes all blocks have grown.
local function put_block(key, index, member, at, block, expires_at, overhead)
  redis.call('SET', key, block, 'EXAT', expires_at)
  local size = math.min(#block + tonumber(overhead) + #member, 4294967295)
  local before = tonumber(redis.call('ZSCORE', index, member) or '')
  redis.call('ZADD', index, text(tonumber(at) * 4294967296 + size), member)
  return size - (before and before >= 0 and before < 2 ^ 53 and before % 4294967296 or 0)
end

-- What is no number of ours is counted anew by history_trim.
local function count_bytes(blocks, grown)
  if type(redis.pcall('HINCRBY', blocks, 'bytes', text(grown))) ~= 'number' then redis.call('HDEL', blocks, 'bytes') end
end

-- A flight's value is token:taken_at:run_id.
local function holder(flight)
  local token, taken_at, run_id = string.match(short(flight) or '', '^(%d+):(%d+):(.*)$')
  if whole(token) and whole(taken_at) then return token, taken_at, run_id end
  return nil
end
