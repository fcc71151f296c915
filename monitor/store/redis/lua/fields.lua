-- fields: KEYS hash; ARGV limit
-- Removes what is longer than limit. Returns fields and values.

if not sound(KEYS[1], 'hash') then return {{}, {}} end
local names, values = fields(KEYS[1], names_of(KEYS[1]), tonumber(ARGV[1]), true)
return {names, values}
