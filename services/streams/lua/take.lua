-- take: members that are due now, put off by a grace so that nobody else works on them meanwhile.
-- Writes nothing when nothing is due. A repeat takes what the first run did not; the grace brings the rest back.
-- KEYS 1 due(zset) 2 takes(hash) 3 clock(string)
-- ARGV 1 most, 0 for the hinted one alone 2 grace ms 3 hinted member or '' 4 '1' to count the takes
-- Returns [now, member, score, takes, member, score, takes, ...]
local bad = check_types({ { KEYS[1], 'zset' }, { KEYS[2], 'hash' } })
if bad then return wrong_type(bad) end
local now = now_ms(KEYS[3])
local taken = { now }
local function take(member, score)
  local n = ARGV[4] == '1' and tonumber(redis.call('HGET', KEYS[2], member) or 0) + 1 or 0
  put_off(KEYS[1], KEYS[2], member, n, tonumber(ARGV[2]), now)
  taken[#taken + 1] = member
  taken[#taken + 1] = score
  taken[#taken + 1] = n
end
if ARGV[3] ~= '' then
  local score = redis.call('ZSCORE', KEYS[1], ARGV[3])
  if score and tonumber(score) <= now then take(ARGV[3], score) end
end
local most = tonumber(ARGV[1]) - (#taken - 1) / 3
if most > 0 then
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, most)
  for i = 1, #due, 2 do take(due[i], due[i + 1]) end
end
return taken
