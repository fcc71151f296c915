-- shorten: KEYS hash; ARGV limit
-- Removes the fields whose values are longer than limit, or whose names no name of ours can have. Returns how many.

local removed = 0
for _, name in ipairs(names_of(KEYS[1])) do
  if #name > SHORT or redis.call('HSTRLEN', KEYS[1], name) > tonumber(ARGV[1]) then
    removed = removed + redis.call('HDEL', KEYS[1], name)
  end
end
return removed
