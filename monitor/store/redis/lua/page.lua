-- page: KEYS transitions; ARGV start count limit
-- Writes nothing. Returns (id transition)*; '' in place of a transition that is absent or longer than `limit` bytes.

local page = redis.pcall('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
if page.err then return {} end
local answer = {}
for _, entry in ipairs(page) do
  local encoded = ''
  for i = 1, #entry[2], 2 do
    local value = entry[2][i + 1]
    if entry[2][i] == 'transition' and #value <= tonumber(ARGV[3]) then encoded = value end
  end
  answer[#answer + 1] = entry[1]
  answer[#answer + 1] = encoded
end
return answer
