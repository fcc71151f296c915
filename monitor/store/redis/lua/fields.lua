-- fields: KEYS hash; ARGV limit
-- Returns the names of a hash's fields and their values. Deletes fields with an empty value or one longer than limit.

if not ensure_type(KEYS[1], 'hash') then return {{}, {}} end
local names, values = read_fields(KEYS[1], names_of(KEYS[1]), tonumber(ARGV[1]), true)
return {names, values}
