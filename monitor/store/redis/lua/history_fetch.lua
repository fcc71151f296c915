-- history_fetch: ARGV prefix limit (check hour day)*
-- Writes nothing. Returns for each list {block of the hour|'', block of the day|'', {line*}}. The caller computes new
-- blocks from these values, and history_pack verifies that they are unchanged.

local answers = {}
for i = 3, #ARGV, 3 do
  local lines = lines_of(ARGV[1] .. 'open:' .. ARGV[i] .. ':' .. ARGV[i + 1])
  answers[#answers + 1] = {
    block_of(ARGV[1] .. 'raw:' .. ARGV[i] .. ':' .. ARGV[i + 1], tonumber(ARGV[2])),
    block_of(ARGV[1] .. 'roll:' .. ARGV[i] .. ':' .. ARGV[i + 2], tonumber(ARGV[2])),
    lines,
  }
end
return answers
