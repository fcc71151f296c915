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

-- A flight's value is token:taken_at:run_id.
local function holder(flight)
  local value = redis.pcall('GET', flight)
  if type(value) ~= 'string' then return nil end
  return string.match(value, '^(%d+):(%d+):(.*)$')
end
