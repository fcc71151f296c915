-- fields: KEYS hash; ARGV limit
-- Deletes values longer than limit. Returns fields and values.

if not ensure_type(KEYS[1], 'hash') then return {{}, {}} end
local names, values = read_fields(KEYS[1], names_of(KEYS[1]), tonumber(ARGV[1]), true)
return {names, values}
