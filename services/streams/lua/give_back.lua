-- give_back: taken members that were not worked on are due again, and their takes not counted.
-- KEYS 1 due(zset) 2 takes(hash) 3 clock(string)
-- ARGV 1 delay ms, 2.. members
-- Returns how many were still there. Repeats are harmless: the count has a floor of 0.
local bad = check_types({ { KEYS[1], 'zset' }, { KEYS[2], 'hash' } })
if bad then return wrong_type(bad) end
local now = now_ms(KEYS[3])
local n = 0
for i = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[i])
    if tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or 0) > 0 then redis.call('HINCRBY', KEYS[2], ARGV[i], -1) end
    n = n + 1
  end
end
return n
