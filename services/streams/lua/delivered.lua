-- delivered: entries are done with for good; the stream stays due while others wait. Repeats are harmless.
-- KEYS 1 outbox(stream) 2 due-deliver(zset) 3 clock(string)
-- ARGV 1 stream 2 delay ms until the rest is tried again, 0 for at once 3.. entry ids
-- Returns how many entries are left.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000) + tonumber(redis.call('GET', KEYS[3]) or 0)
for i = 3, #ARGV do redis.call('XDEL', KEYS[1], ARGV[i]) end
local left = redis.call('XLEN', KEYS[1])
if left > 0 then
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
else
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return left
