-- history_fetch: ARGV prefix limit (check hour day)*
-- Writes nothing. Returns for each {hour's block|'', day's block|'', {line*}}, as history_pack wants to see them again.

local function block_of(key)
  local block = redis.pcall('GET', key)
  if type(block) ~= 'string' or #block > tonumber(ARGV[2]) then return '' end
  return block
end

local answers = {}
for i = 3, #ARGV, 3 do
  local lines = redis.pcall('LRANGE', ARGV[1] .. 'open:' .. ARGV[i] .. ':' .. ARGV[i + 1], 0, -1)
  if lines.err then lines = {} end
  answers[#answers + 1] = {
    block_of(ARGV[1] .. 'raw:' .. ARGV[i] .. ':' .. ARGV[i + 1]),
    block_of(ARGV[1] .. 'roll:' .. ARGV[i] .. ':' .. ARGV[i + 2]),
    lines,
  }
end
return answers
