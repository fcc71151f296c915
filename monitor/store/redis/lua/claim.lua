-- claim: KEYS dispatch retries states; ARGV fingerprint at_least claim_id
-- Claims the window from the last claim until now. Returns {until, since|'', names with a due retry, names of all
-- states or false}, or false if the last claim was made less than at_least microseconds ago.
-- Invariant: windows do not overlap, and there is no gap between two windows.
-- A claim whose reply was lost is repeated with the same claim_id. It gets a window with the same start that ends now.

local now = clock()
ensure_type(KEYS[1], 'hash')
ensure_type(KEYS[2], 'zset')

local again = short_field(KEYS[1], 'claim') == ARGV[3]
local known = short_field(KEYS[1], 'fingerprint')
local since = to_integer(short_field(KEYS[1], again and 'since' or 'cursor'))
if not (since and since >= 0 and since <= now + 5e6) then since = nil end
if since and not again and now - since < tonumber(ARGV[2]) then return false end
if since and since > now then since = now end

redis.call('HSET', KEYS[1], 'cursor', format_integer(now), 'since', since and format_integer(since) or '',
  'claim', ARGV[3], 'fingerprint', ARGV[1])

local retries = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', format_integer(now), 'LIMIT', 0, MAX_ITEMS)
if #retries > 0 then redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', format_integer(now)) end

local observed = false
if since == nil or known ~= ARGV[1] then observed = names_of(KEYS[3]) end
return {format_integer(now), since and format_integer(since) or '', retries, observed}
