-- workers_read: KEYS beacons heartbeats round_state; ARGV limit round_state_limit
-- Returns the clock, the round state, and for beacons and for heartbeats {fields, values, number of deleted values}.
-- Deletes values that are too long or empty.

ensure_type(KEYS[1], 'hash')
ensure_type(KEYS[2], 'hash')
ensure_type(KEYS[3], 'string')

local function read_hash(key)
  local names, values, refused = read_fields(key, names_of(key), tonumber(ARGV[1]), true)
  return {names, values, refused}
end

if redis.call('STRLEN', KEYS[3]) > tonumber(ARGV[2]) then redis.call('DEL', KEYS[3]) end
return {format_integer(clock()), redis.call('GET', KEYS[3]) or '', read_hash(KEYS[1]), read_hash(KEYS[2])}
