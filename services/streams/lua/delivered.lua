-- delivered: entries are done with for good; the stream stays due while others wait. Repeats are harmless.
-- KEYS 1 outbox(stream) 2 due-deliver(zset) 3 clock(string) 4 takes-deliver(hash)
-- ARGV 1 stream 2 delay ms until the rest is tried again, 0 for at once 3.. entry ids
-- Returns how many entries are left.
local bad = check_types({ { KEYS[1], 'stream' }, { KEYS[2], 'zset' }, { KEYS[4], 'hash' } })
if bad then return wrong_type(bad) end
local now = now_ms(KEYS[3])
for i = 3, #ARGV do redis.call('XDEL', KEYS[1], ARGV[i]) end
redis.call('HDEL', KEYS[4], ARGV[1])
local left = redis.call('XLEN', KEYS[1])
if left > 0 then
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
else
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return left
