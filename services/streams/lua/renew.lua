-- renew: keep an incarnation's lease alive. One that ended is never taken up again.
-- KEYS 1 leases(zset) 2 clock(string)
-- ARGV 1 incarnation 2 ttl ms 3 '1' at birth
-- Returns end of the lease in epoch ms, or 0 when it is over for ever.
local bad = check_types({ { KEYS[1], 'zset' } })
if bad then return wrong_type(bad) end
local now = now_ms(KEYS[2])
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if ARGV[3] ~= '1' and (not ends or tonumber(ends) <= now) then return 0 end
if ARGV[3] == '1' and ends and tonumber(ends) <= now then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return now + tonumber(ARGV[2])
