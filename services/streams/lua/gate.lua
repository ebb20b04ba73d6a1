-- gate: pause or resume a session, with its event. Resuming moves parked jobs back in the same step.
-- KEYS 1 log(stream) 2 meta(hash) 3 due-advance(zset) 4 op(string) 5 clock(string) 6 recent(zset) 7 parked(zset)
--      8 due-llm(zset) 9 due-tool(zset)
-- ARGV 1 header: {op, again, stream, channel, paused: reason or ''}   2 body
-- Returns {offset, head, now, changed} | {refused: not_found|type}
local h = cjson.decode(ARGV[1])
local bad = check_types({ { KEYS[1], 'stream' }, { KEYS[2], 'hash' }, { KEYS[3], 'zset' }, { KEYS[4], 'string' },
  { KEYS[6], 'zset' }, { KEYS[7], 'zset' }, { KEYS[8], 'zset' }, { KEYS[9], 'zset' } })
if bad then return refuse('type', bad) end
local known = redis.call('GET', KEYS[4])
if known then return known end
local now = now_ms(KEYS[5])
local head, last = head_of(KEYS[1])
if head == 0 then return refuse('not_found') end
local found, resumed = written_before(KEYS[1], h.op, last, h.again)
local is_paused = redis.call('HEXISTS', KEYS[2], 'paused') == 1
if not resumed and is_paused == (h.paused ~= '') then
  return cjson.encode({ offset = head, head = head, now = now, changed = false })
end
local made
made, head = write_events(KEYS[1], h.op, 1, { ARGV[2] }, { false }, head, found, now)
if h.paused ~= '' then
  redis.call('HSET', KEYS[2], 'paused', h.paused, 'paused_at', now)
else
  redis.call('HDEL', KEYS[2], 'paused', 'paused_at')
  for _, member in ipairs(redis.call('ZRANGE', KEYS[7], 0, -1)) do
    local kind, id = string.match(member, '^(%a+)|(.*)$')
    local due = kind == 'llm' and KEYS[8] or KEYS[9]
    redis.call('ZADD', due, now, id)
  end
  redis.call('DEL', KEYS[7])
end
due_at_most(KEYS[3], h.stream, now)
redis.call('ZADD', KEYS[6], now, h.stream)
local reply = cjson.encode({ offset = made[1], head = head, now = now, changed = true })
redis.call('SET', KEYS[4], reply, 'EX', 600)
redis.call('PUBLISH', h.channel, head)
return reply
