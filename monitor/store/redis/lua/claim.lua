-- claim: KEYS dispatch retries states; ARGV fingerprint at_least claim_id
-- Invariant: the windows handed out are disjoint, and join without a gap.
-- Asking again with the same claim_id (its answer was lost) gets the same window, prolonged until now.

local now = clock()
sound(KEYS[1], 'hash')
sound(KEYS[2], 'zset')

local again = field(KEYS[1], 'claim') == ARGV[3]
local known = field(KEYS[1], 'fingerprint')
local since = whole(field(KEYS[1], again and 'since' or 'cursor'))
if not (since and since >= 0 and since <= now + 5e6) then since = nil end
if since and not again and now - since < tonumber(ARGV[2]) then return false end
if since and since > now then since = now end

redis.call('HSET', KEYS[1], 'cursor', text(now), 'since', since and text(since) or '',
  'claim', ARGV[3], 'fingerprint', ARGV[1])

local retries = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now), 'LIMIT', 0, MOST)
if #retries > 0 then redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now)) end

local observed = false
if since == nil or known ~= ARGV[1] then observed = names_of(KEYS[3]) end
return {text(now), since and text(since) or '', retries, observed}
