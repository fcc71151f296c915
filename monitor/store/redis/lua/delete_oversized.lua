-- delete_oversized: KEYS hash; ARGV limit
-- Deletes fields with a value longer than `limit` bytes or a name longer than SHORT_BYTES. Returns their number.

local removed = 0
for _, name in ipairs(names_of(KEYS[1])) do
  if #name > SHORT_BYTES or redis.call('HSTRLEN', KEYS[1], name) > tonumber(ARGV[1]) then
    removed = removed + redis.call('HDEL', KEYS[1], name)
  end
end
return removed
