-- history_rollups: KEYS open blocks:roll; ARGV prefix limit digest_bytes first_day last_day|'' days_back days|'' check*
-- Writes nothing. Reads the days from first_day to last_day; '' for last_day means tomorrow. `days` is a list such as
-- ',1,2,'. For a day that is in this list, the block is returned. For other days only the first digest_bytes of the
-- block are returned, which are its digest. '' for `days` means all days.
-- Returns the clock, and for each check {day|'', digest, {day block}*, {hour has_block {line*}}*}:
--   1. the last day with a block before first_day, at most days_back days before, and the digest of this block
--   2. the blocks or digests from first_day on
--   3. the unpacked samples by hour, from days_back days before first_day on, with 1 for an hour that has a block, else
--      0

local DAYS = 3700 -- largest number of days that are read
local limit, now = tonumber(ARGV[2]), clock()
local present = math.floor(now / 8.64e10) + 1
local first, last = tonumber(ARGV[4]), math.min(tonumber(ARGV[5]) or present, present)
local back = first - tonumber(ARGV[6])
local known = redis.pcall('ZRANGE', KEYS[2], 0, 0)
-- Days before the first stored block are not read.
local oldest = last + 1
if not known.err and known[1] then
  local check, day = split_member(known[1])
  oldest = check and tonumber(day) or last - DAYS
end
oldest = math.max(oldest, last - DAYS)

local function digest_of(key)
  local digest = redis.pcall('GETRANGE', key, 0, tonumber(ARGV[3]) - 1)
  return type(digest) == 'string' and digest or ''
end

local waiting = {}
local members = redis.pcall('ZRANGEBYSCORE', KEYS[1],
  format_integer(back * 86400), format_integer((last + 1) * 86400), 'LIMIT', 0, MAX_ITEMS)
if members.err then members = {} end
for _, member in ipairs(members) do
  local check, hour = split_member(member)
  if check and tonumber(hour) >= back * 24 and tonumber(hour) < (last + 1) * 24 then
    waiting[check] = waiting[check] or {}
    table.insert(waiting[check], hour)
  end
end

local answers = {format_integer(now)}
for i = 8, #ARGV do
  local check, days, hours = ARGV[i], {}, {}
  local tail_day, tail = '', ''
  for day = math.min(first - 1, last), math.max(back, oldest), -1 do
    local found = digest_of(ARGV[1] .. 'roll:' .. check .. ':' .. format_integer(day))
    if found ~= '' then
      tail_day, tail = format_integer(day), found
      break
    end
  end
  for day = math.max(first, oldest), last do
    local key, block = ARGV[1] .. 'roll:' .. check .. ':' .. format_integer(day), nil
    if ARGV[7] == '' or string.find(ARGV[7], ',' .. format_integer(day) .. ',', 1, true) then
      block = block_of(key, limit)
    else
      block = digest_of(key)
    end
    if block ~= '' then
      days[#days + 1] = format_integer(day)
      days[#days + 1] = block
    end
  end
  for _, hour in ipairs(waiting[check] or {}) do
    local name = check .. ':' .. hour
    local lines = lines_of(ARGV[1] .. 'open:' .. name)
    if #lines > 0 then
      hours[#hours + 1] = hour
      hours[#hours + 1] = redis.call('EXISTS', ARGV[1] .. 'raw:' .. name)
      hours[#hours + 1] = lines
    end
  end
  answers[#answers + 1] = {tail_day, tail, days, hours}
end
return answers
