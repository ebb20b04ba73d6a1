-- claim: the exclusive right to run one job, for as long as the incarnation's lease lives.
-- KEYS 1 log(stream) 2 meta(hash) 3 due of the kind(zset) 4 op(string) 5 clock(string) 6 held(zset) 7 leases(zset)
--      8 job(hash) 9 parked(zset)
-- ARGV 1 header: {op, again, id, kind, family: of its events, incarnation, stream, channel, effect, lease_ms: of a delivery}
-- Returns {token, attempt, charged, prior, error: of the last attempt, expired, since, due, now, offset, expires_at, destination,
--          is_cancelled: somebody wanted it stopped, waits: attempts that only found that they have to wait,
--          began: the newest event of the commit that started it}
--       | {refused: gone|settled|held|early|behind|paused|revoked|type}
-- A delivery that is not due waits behind another; deliveries go on while the session is paused. A hint may name
-- any kind: a job of another one is gone, as far as this kind goes.
local h = cjson.decode(ARGV[1])
local bad = check_types({ { KEYS[1], 'stream' }, { KEYS[2], 'hash' }, { KEYS[3], 'zset' }, { KEYS[4], 'string' },
  { KEYS[6], 'zset' }, { KEYS[7], 'zset' }, { KEYS[8], 'hash' }, { KEYS[9], 'zset' } })
if bad then return refuse('type', bad) end
local known = redis.call('GET', KEYS[4])
if known then return known end
local now = now_ms(KEYS[5])
local lease = redis.call('ZSCORE', KEYS[7], h.incarnation)
if not lease or tonumber(lease) <= now then return refuse('revoked') end
local row = redis.call('HMGET', KEYS[8], 'state', 'token', 'attempts', 'free', 'expires_at', 'left', 'since', 'due', 'effect', 'prior', 'error',
  'destination', 'kind', 'cancel', 'waits', 'began')
local head, last = head_of(KEYS[1])
local found, resumed = written_before(KEYS[1], h.op, last, h.again)
if not resumed then
  if row[1] and row[13] ~= h.kind then return refuse('gone') end
  if not row[1] or row[1] == 'settled' then
    redis.call('ZREM', KEYS[3], h.id)
    return refuse(row[1] and 'settled' or 'gone')
  end
  if row[1] == 'started' then return refuse('held') end
  local score = redis.call('ZSCORE', KEYS[3], h.id)
  if score and tonumber(score) > now then return refuse('early', score) end
  if h.kind == 'deliver' then
    if not score then return refuse('behind') end
  elseif redis.call('HGET', KEYS[2], 'paused') then
    -- Its clock stands still from the first refusal until it starts.
    redis.call('ZADD', KEYS[9], now, h.kind .. '|' .. h.id)
    if not row[6] then redis.call('HSET', KEYS[8], 'left', math.max(0, tonumber(row[5]) - now)) end
    redis.call('ZREM', KEYS[3], h.id)
    return refuse('paused')
  end
end
local expires = tonumber(row[5])
if row[6] then expires = now + tonumber(row[6]) end
local attempt = tonumber(row[3]) + 1
local token = tonumber(row[2]) + 1
local prior = row[9] or ''
if resumed and row[1] == 'started' then attempt, token, prior = attempt - 1, token - 1, row[10] or '' end
local payload = { job = h.id, attempt = attempt, incarnation = h.incarnation }
if h.effect ~= '' then payload.effect = h.effect end
local body = cjson.encode({ type = h.family .. '.started', payload = payload })
local made
made, head = write_events(KEYS[1], h.op, 1, { body }, { false }, head, found, now)
redis.call('HSET', KEYS[8], 'state', 'started', 'token', token, 'attempts', attempt, 'incarnation', h.incarnation,
  'since', now, 'expires_at', expires, 'effect', h.effect, 'prior', prior)
if h.kind == 'deliver' then redis.call('HSET', KEYS[8], 'lease_until', now + h.lease_ms) end
redis.call('HDEL', KEYS[8], 'left')
redis.call('ZREM', KEYS[3], h.id)
redis.call('ZADD', KEYS[6], now, h.kind .. '|' .. h.id)
local reply = cjson.encode({ token = token, attempt = attempt, charged = attempt - tonumber(row[4]), prior = prior,
  expired = expires <= now, since = tonumber(row[7]), due = tonumber(row[8]), now = now, offset = made[1],
  expires_at = expires, error = row[11] or '', destination = row[12] or '',
  is_cancelled = row[14] and true or false, waits = tonumber(row[15] or 0),
  began = tonumber(row[16] or 0) })
redis.call('SET', KEYS[4], reply, 'EX', 600)
redis.call('PUBLISH', h.channel, head)
return reply
