-- history_samples: KEYS open blocks:raw; ARGV prefix limit first_hour last_hour|'' hours_back check*
-- Writes nothing. last_hour '' is the present one and the next. For each check: the hours from first to last that
-- hold anything, and the last such hour before first, at most hours_back hours earlier.
-- Returns clock, and then for each check a list of hour, block|'', {line*} by turns.
-- Like all scripts of history it makes its keys itself: they are too many to name.

local HOURS = 9600 -- no more are looked at, whatever was asked for
local limit = tonumber(ARGV[2])
local now = clock()
local present = math.floor(now / 3.6e9) + 1
local first, last = tonumber(ARGV[3]), math.min(tonumber(ARGV[4]) or present, present)
local back = first - tonumber(ARGV[5])

-- Whatever was asked for, no more hours are looked at than there are.
local oldest = last + 1
for i = 1, 2 do
  local found = redis.pcall('ZRANGE', KEYS[i], 0, 0)
  if not found.err and found[1] then
    local check, hour = place_of(found[1])
    oldest = math.min(oldest, check and tonumber(hour) or 0)
  end
end
first = math.max(first, oldest, last - HOURS)
back = math.max(back, oldest, first - tonumber(ARGV[5]))

local function hour_of(answer, check, hour)
  local name = check .. ':' .. text(hour)
  local block = block_of(ARGV[1] .. 'raw:' .. name, limit)
  local lines = lines_of(ARGV[1] .. 'open:' .. name)
  if block == '' and #lines == 0 then return false end
  answer[#answer + 1] = text(hour)
  answer[#answer + 1] = block
  answer[#answer + 1] = lines
  return true
end

local answers = {text(now)}
for i = 6, #ARGV do
  local answer = {}
  for hour = math.min(first, last + 1) - 1, back, -1 do
    if hour_of(answer, ARGV[i], hour) then break end
  end
  for hour = first, last do hour_of(answer, ARGV[i], hour) end
  answers[#answers + 1] = answer
end
return answers
