-- release: an attempt ended without an outcome; the job is due again. Records why.
-- KEYS 1 log(stream) 2 meta(hash) 3 due of the kind(zset) 4 op(string) 5 clock(string) 6 held(zset) 7 job(hash)
-- ARGV 1 header: {op, again, id, kind, family: of its events, token, incarnation, stream, channel, delay_ms, free, waits, error,
--        extra: more fields of the event}
-- Returns {retry_at, now} | {refused: late|type}
local h = cjson.decode(ARGV[1])
local bad = check_types({ { KEYS[1], 'stream' }, { KEYS[2], 'hash' }, { KEYS[3], 'zset' }, { KEYS[4], 'string' },
  { KEYS[6], 'zset' }, { KEYS[7], 'hash' } })
if bad then return refuse('type', bad) end
local known = redis.call('GET', KEYS[4])
if known then return known end
local now = now_ms(KEYS[5])
local row = redis.call('HMGET', KEYS[7], 'state', 'token', 'free', 'incarnation', 'waits')
local head, last = head_of(KEYS[1])
local found, resumed = written_before(KEYS[1], h.op, last, h.again)
local ours = row[1] == 'started' and row[4] == h.incarnation
if not resumed and not (ours and tonumber(row[2]) == h.token) then
  -- A newer claim of the same holder keeps its place.
  if not ours then redis.call('ZREM', KEYS[6], h.kind .. '|' .. h.id) end
  return refuse('late')
end
local retry_at = now + h.delay_ms
local payload = h.extra or {}
payload.job, payload.error, payload.retry_at, payload.free = h.id, h.error, retry_at, h.free
local body = cjson.encode({ type = h.family .. '.attempt_failed', payload = payload })
local made
made, head = write_events(KEYS[1], h.op, 1, { body }, { false }, head, found, now)
if row[1] == 'started' then
  redis.call('HSET', KEYS[7], 'state', 'requested', 'incarnation', '', 'since', now, 'due', retry_at, 'error', h.error,
    'free', tonumber(row[3]) + (h.free and 1 or 0), 'waits', tonumber(row[5] or 0) + (h.waits and 1 or 0))
end
redis.call('ZADD', KEYS[3], retry_at, h.id)
redis.call('ZREM', KEYS[6], h.kind .. '|' .. h.id)
local reply = cjson.encode({ retry_at = retry_at, now = now })
redis.call('SET', KEYS[4], reply, 'EX', 600)
redis.call('PUBLISH', h.channel, head)
return reply
