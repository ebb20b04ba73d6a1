-- reap: what an ended incarnation held is due again. Repeats are harmless: a member moves only while it is held.
-- KEYS 1 leases(zset) 2 held(zset) 3 clock(string) 4 due-llm(zset) 5 due-tool(zset) 6 due-deliver(zset)
--      7.. job hashes, by index
-- ARGV 1 {incarnation, proven, members: [{m, kind, id, k}]}
-- A stopped process must not wake up and send after its successor: unless its holder is proven dead, a delivery waits for
-- the end of its lease, and then for what was sent to show up.
-- A job whose first holder died is due at once, one that saw several die a while later: it may be what kills them.
-- Returns moved, or -1 when the lease is alive and there is no proof of death.
local DUE = { llm = 4, tool = 5, deliver = 6 }
local h = cjson.decode(ARGV[1])
local types = { { KEYS[1], 'zset' }, { KEYS[2], 'zset' }, { KEYS[4], 'zset' }, { KEYS[5], 'zset' },
  { KEYS[6], 'zset' } }
for _, m in ipairs(h.members) do types[#types + 1] = { KEYS[m.k], 'hash' } end
local bad = check_types(types)
if bad then return wrong_type(bad) end
local now = now_ms(KEYS[3])
local ends = redis.call('ZSCORE', KEYS[1], h.incarnation)
if ends and tonumber(ends) > now then
  if not h.proven then return -1 end
  redis.call('ZADD', KEYS[1], 'XX', 0, h.incarnation)
end
local function after_deaths(deaths)
  if deaths == 0 then return 0 end
  return math.min(60000, 10000 * 2 ^ (deaths - 1))
end
local moved = 0
for _, m in ipairs(h.members) do
  if redis.call('ZSCORE', KEYS[2], m.m) then
    local row = redis.call('HMGET', KEYS[m.k], 'state', 'incarnation', 'free', 'lease_until', 'settle_ms', 'waits')
    if row[1] == 'started' and row[2] == h.incarnation then
      local free = tonumber(row[3])
      local due = now + (h.proven and after_deaths(free - tonumber(row[6] or 0)) or 0)
      if m.kind == 'deliver' then
        due = math.max(due, h.proven and now or tonumber(row[4] or 0)) + tonumber(row[5] or 0)
      end
      redis.call('ZADD', KEYS[DUE[m.kind]], due, m.id)
      redis.call('HSET', KEYS[m.k], 'state', 'requested', 'incarnation', '', 'since', now, 'due', due, 'error', 'worker_lost',
        'free', free + (h.proven and 1 or 0))
    end
    redis.call('ZREM', KEYS[2], m.m)
    moved = moved + 1
  end
end
if redis.call('ZCARD', KEYS[2]) == 0 then redis.call('ZREM', KEYS[1], h.incarnation) end
return moved
