-- history_samples: KEYS open blocks:raw; ARGV prefix limit first_hour last_hour|'' hours_back check*
-- Writes nothing. Reads for each check the hours with samples from first_hour to last_hour; '' for last_hour means the
-- next hour. Also reads the last hour with samples before first_hour, at most hours_back hours before.
-- Returns the clock, and for each check {(hour block|'' {line*})*}.
-- Like all history scripts it makes the keys of lists and blocks from the prefix, because they are too many for KEYS.

local HOURS = 9600 -- largest number of hours that are read
local limit = tonumber(ARGV[2])
local now = clock()
local present = math.floor(now / 3.6e9) + 1
local first, last = tonumber(ARGV[3]), math.min(tonumber(ARGV[4]) or present, present)
local back = first - tonumber(ARGV[5])

-- Hours before the first stored samples are not read.
local oldest = last + 1
for i = 1, 2 do
  local found = redis.pcall('ZRANGE', KEYS[i], 0, 0)
  if not found.err and found[1] then
    local check, hour = split_member(found[1])
    oldest = math.min(oldest, check and tonumber(hour) or 0)
  end
end
first = math.max(first, oldest, last - HOURS)
back = math.max(back, oldest, first - tonumber(ARGV[5]))

local function append_hour(answer, check, hour)
  local name = check .. ':' .. format_integer(hour)
  local block = block_of(ARGV[1] .. 'raw:' .. name, limit)
  local lines = lines_of(ARGV[1] .. 'open:' .. name)
  if block == '' and #lines == 0 then return false end
  answer[#answer + 1] = format_integer(hour)
  answer[#answer + 1] = block
  answer[#answer + 1] = lines
  return true
end

local answers = {format_integer(now)}
for i = 6, #ARGV do
  local answer = {}
  for hour = math.min(first, last + 1) - 1, back, -1 do
    if append_hour(answer, ARGV[i], hour) then break end
  end
  for hour = first, last do append_hour(answer, ARGV[i], hour) end
  answers[#answers + 1] = answer
end
return answers
