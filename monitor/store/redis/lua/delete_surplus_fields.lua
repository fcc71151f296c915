-- delete_surplus_fields: KEYS hash changed (or hash again); ARGV count least limit
-- Does nothing for a hash of at most MAX_ITEMS fields. A larger hash was filled by another program.
-- Reads `count` fields. Deletes those that the store did not write: the value is shorter than `least` bytes or longer
-- than `limit` bytes, the name is too long, or, with `changed`, the name is not in that sorted set. If there are none
-- of these, deletes some of the fields read, until the hash has MAX_ITEMS fields.
-- Returns the number of deleted fields, and 1 when the hash still has too many.

local size = redis.pcall('HLEN', KEYS[1])
if type(size) ~= 'number' or size <= MAX_ITEMS then return {0, 0} end
local names = redis.call('HRANDFIELD', KEYS[1], ARGV[1])
local wrong = {}
for _, name in ipairs(names) do
  local length = redis.call('HSTRLEN', KEYS[1], name)
  if #name > SHORT_BYTES or length < tonumber(ARGV[2]) or length > tonumber(ARGV[3])
    or (KEYS[2] ~= KEYS[1] and type(redis.pcall('ZSCORE', KEYS[2], name)) ~= 'string') then
    wrong[#wrong + 1] = name
  end
end
if #wrong == 0 then
  for i = 1, math.min(#names, size - MAX_ITEMS) do wrong[i] = names[i] end
end
for first = 1, #wrong, 1000 do
  redis.call('HDEL', KEYS[1], unpack(wrong, first, math.min(first + 999, #wrong)))
end
return {#wrong, size - #wrong > MAX_ITEMS and 1 or 0}
