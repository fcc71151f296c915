-- history_reaches: KEYS open blocks:raw blocks:roll blocks; ARGV prefix digest_bytes
-- Writes nothing. Returns
--   1. the first hour with a block of samples, not before the hour up to which blocks were deleted; '' for none
--   2. the first day with a block of roll-ups, not before the day up to which blocks were deleted; '' for none
--   3. the first hour with a list of unpacked samples; '' for none
--   4. the size of all blocks
--   5. the digests of day 2, of at most 100 checks; none if blocks of the day with the first block were deleted
--   6. the first lines of the lists of hour 3, of at most 100 checks
-- Here "deleted" means deleted for the budget. Digests and lines contain times of samples, so the caller can compute
-- the time of the first sample.

local kinds = {'raw', 'roll'}
local answer = {}
local digests, lines = {}, {}

local function at_most_a_hundred(index)
  local found = redis.pcall('ZRANGE', index, 0, 99)
  return found.err and {} or found
end

for i = 1, 2 do
  local first = ''
  for _, member in ipairs(at_most_a_hundred(KEYS[1 + i])) do
    local check, at = split_member(member)
    -- A server with an eviction policy may have deleted the block.
    local key = check and ARGV[1] .. kinds[i] .. ':' .. check .. ':' .. at
    if key and (first == '' or first == at) and redis.call('EXISTS', key) == 1 then
      first = at
      if i == 1 then break end
      local digest = redis.pcall('GETRANGE', key, 0, tonumber(ARGV[2]) - 1)
      if type(digest) == 'string' then digests[#digests + 1] = digest end
    end
  end
  local floor = short_field(KEYS[4], kinds[i])
  if first ~= '' and floor and #floor <= 7 and (to_integer(floor) or 0) > tonumber(first) then
    first = floor
    if i == 2 then digests = {} end
  end
  answer[i] = first
end

answer[3] = ''
for _, member in ipairs(at_most_a_hundred(KEYS[1])) do
  local check, at = split_member(member)
  if check and (answer[3] == '' or answer[3] == at) then
    answer[3] = at
    local line = redis.pcall('LINDEX', ARGV[1] .. 'open:' .. check .. ':' .. at, 0)
    if type(line) == 'string' and #line <= 2 * SHORT_BYTES then lines[#lines + 1] = line end
  end
end
answer[4] = short_field(KEYS[4], 'bytes') or '0'
answer[5] = digests
answer[6] = lines
return answer
