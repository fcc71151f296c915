-- alert_retire: KEYS channels dead; ARGV prefix kept before channel*
-- What has waited since then for channels that are no more becomes dead letters: at most 1,000 notices at once.

sound(KEYS[1], 'set')
sound(KEYS[2], 'list')
local known, buried = {}, 0
for i = 4, #ARGV do known[ARGV[i]] = true end
if redis.call('SCARD', KEYS[1]) > SHORT then redis.call('SPOP', KEYS[1], MOST) end -- deciding names ours again
for _, channel in ipairs(redis.call('SRANDMEMBER', KEYS[1], SHORT)) do
  if not known[channel] then
    local due = ARGV[1] .. 'due:' .. channel
    sound(due, 'zset')
    for _, check in ipairs(redis.call('ZRANGE', due, 0, SHORT - 1)) do
      local lane = ARGV[1] .. 'lane:' .. channel .. '|' .. check
      sound(lane, 'list')
      while buried < 1000 do
        local notice = redis.call('LINDEX', lane, 0)
        local since, value = string.match(notice or '', '^(%d+)|(.*)$')
        if not notice or (whole(since) and tonumber(since) > tonumber(ARGV[3])) then break end
        redis.call('LPOP', lane)
        if value and #notice <= 100000 then redis.call('LPUSH', KEYS[2], '{"channel":' .. cjson.encode(channel) .. ',"notice":' .. value
          .. ',"reason":"its channel is not configured any more","attempts":0,"at":' .. text(clock() / 1e6) .. '}') end
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
