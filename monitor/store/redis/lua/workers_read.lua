-- sight: KEYS beacons heartbeats notes; ARGV limit notes_limit
-- Removes what is too long to be ours. Returns clock, notes, and then the hashes of beacons and of heartbeats: fields,
-- values, and how many were too long.

sound(KEYS[1], 'hash')
sound(KEYS[2], 'hash')
sound(KEYS[3], 'string')

local function everything(key)
  local names, values, refused = fields(key, names_of(key), tonumber(ARGV[1]), true)
  return {names, values, refused}
end

if redis.call('STRLEN', KEYS[3]) > tonumber(ARGV[2]) then redis.call('DEL', KEYS[3]) end
return {text(clock()), redis.call('GET', KEYS[3]) or '', everything(KEYS[1]), everything(KEYS[2])}
