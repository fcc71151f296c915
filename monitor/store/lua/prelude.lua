-- Shared by all scripts. The one clock is the server's, in microseconds since the epoch (exact below 2^53).
-- Anybody may have written anything under our keys: what is of the wrong type is as good as absent.

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

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
  local before = redis.call('ZSCORE', index, member)
  redis.call('ZADD', index, text(tonumber(at) * 4294967296 + size), member)
  return size - (before and tonumber(before) % 4294967296 or 0)
end

-- What is no number of ours is counted anew by history_trim.
local function count_bytes(blocks, grown)
  if type(redis.pcall('HINCRBY', blocks, 'bytes', text(grown))) ~= 'number' then redis.call('HDEL', blocks, 'bytes') end
end

-- A flight's value is token:taken_at:run_id.
local function holder(flight)
  local value = redis.pcall('GET', flight)
  if type(value) ~= 'string' then return nil end
  return string.match(value, '^(%d+):(%d+):(.*)$')
end
