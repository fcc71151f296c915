-- alert_retire: KEYS channels dead; ARGV prefix dead_letters_kept before channel*
-- Moves notices from before the time `before` to the dead letters, for all channels that are not given. Moves at most
-- 1,000 notices. Returns their number.

ensure_type(KEYS[1], 'set')
ensure_type(KEYS[2], 'list')
local known, buried = {}, 0
for i = 4, #ARGV do known[ARGV[i]] = true end
-- If another program has filled the set, delete members. The next decision adds the channels of the store again.
if redis.call('SCARD', KEYS[1]) > MAX_CHANNELS then redis.call('SPOP', KEYS[1], MAX_ITEMS) end
for _, channel in ipairs(redis.call('SRANDMEMBER', KEYS[1], MAX_CHANNELS)) do
  if not known[channel] then
    local due = ARGV[1] .. 'due:' .. channel
    ensure_type(due, 'zset')
    for _, check in ipairs(redis.call('ZRANGE', due, 0, MAX_CHECKS - 1)) do
      local lane = ARGV[1] .. 'lane:' .. channel .. '|' .. check
      ensure_type(lane, 'list')
      while buried < 1000 do
        local notice = redis.call('LINDEX', lane, 0)
        local since, value = string.match(notice or '', '^(%d+)|(.*)$')
        if not notice or (to_integer(since) and tonumber(since) > tonumber(ARGV[3])) then break end
        redis.call('LPOP', lane)
        if value and #notice <= 100000 then
          redis.call('LPUSH', KEYS[2], '{"channel":' .. cjson.encode(channel) .. ',"notice":' .. value
            .. ',"reason":"its channel is not configured any more","attempts":0,"at":'
            .. format_integer(clock() / 1e6) .. '}')
        end
        buried = buried + 1
      end
      if redis.call('EXISTS', lane) == 0 then redis.call('ZREM', due, check) end
    end
    if redis.call('EXISTS', due) == 0 then
      redis.call('DEL', due, ARGV[1] .. 'channel:' .. channel, ARGV[1] .. 'flight:' .. channel)
      redis.call('SREM', KEYS[1], channel)
    end
  end
end
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[2]) - 1)
return buried
