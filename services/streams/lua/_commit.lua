-- Included by commit and settle: what one commit checks and writes.
-- KEYS 1 log(stream) 2 meta(hash) 3 due-advance(zset) 4 op(string) 5 clock(string) 6 recent(zset) 7 takes-advance(hash)
--      8 due-llm(zset) 9 due-tool(zset) 10 due-deliver(zset) 11 held(zset) 12 leases(zset) 13 outbox(stream)
--      14 parked(zset) 15 letters(zset) 16 sent(hash) 17.. job hashes, queues(zset) and blobs(string), by index
-- c: {stream, rev, read_to, at: time of its events, before: [[field, ARGV index]], after: [[..]], events: [{a: ARGV index, b, id}],
--     jobs: [{k, kind, id, delay_ms, expires_ms, claim, effect, q, destination, settle_ms}],
--     settles: [{k, kind, id, token, q, letter, keep_s}], cancels: [{k, id}], lease_ms: of a claimed delivery,
--     outbox: [{a, n}], outbox_next, sent: [[target, n]], timer, behind, pause, waiting, incarnation, channel, cancel_channel}
-- q: KEYS index of the queue a delivery waits in, 0 for other jobs. letter: it ended undelivered and is kept to be looked at.
local DUE = { llm = 8, tool = 9, deliver = 10 }

local function commit_types()
  return check_types({
    { KEYS[1], 'stream' }, { KEYS[2], 'hash' }, { KEYS[3], 'zset' }, { KEYS[4], 'string' }, { KEYS[6], 'zset' },
    { KEYS[7], 'hash' }, { KEYS[8], 'zset' }, { KEYS[9], 'zset' }, { KEYS[10], 'zset' }, { KEYS[11], 'zset' },
    { KEYS[12], 'zset' }, { KEYS[13], 'stream' }, { KEYS[14], 'zset' }, { KEYS[15], 'zset' },
    { KEYS[16], 'hash' },
  })
end

local function job_types(c)
  local types = {}
  for _, list in ipairs({ c.jobs, c.settles, c.cancels }) do
    for _, j in ipairs(list) do
      types[#types + 1] = { KEYS[j.k], 'hash' }
      if (j.q or 0) > 0 then types[#types + 1] = { KEYS[j.q], 'zset' } end
    end
  end
  return check_types(types)
end

-- nil when the commit may be written, otherwise why not.
local function commit_refusal(c, now)
  if is_too_large(#c.events) then return 'too_many' end
  if job_types(c) then return 'type' end
  local queued = {}
  for _, j in ipairs(c.jobs) do
    if redis.call('EXISTS', KEYS[j.k]) == 1 then return 'job_exists' end
    if j.claim then
      local lease = redis.call('ZSCORE', KEYS[12], c.incarnation)
      if not lease or tonumber(lease) <= now then return 'revoked' end
      if j.q > 0 then
        if queued[KEYS[j.q]] or redis.call('ZCARD', KEYS[j.q]) > 0 then return 'behind' end
      elseif redis.call('HGET', KEYS[2], 'paused') then
        return 'paused'
      end
    end
    if j.q > 0 then queued[KEYS[j.q]] = true end
  end
  for _, s in ipairs(c.settles) do
    local row = redis.call('HMGET', KEYS[s.k], 'state', 'token')
    if not row[1] or row[1] == 'settled' or tonumber(row[2]) ~= s.token then return 'job_settled' end
  end
  for _, e in ipairs(c.events) do
    if e.b > 0 and redis.call('EXISTS', KEYS[e.b]) == 0 then return 'blob' end
  end
  return nil
end

-- head: the newest event of the commit, behind which nothing tells of how the job began.
local function write_job(c, i, j, now, head)
  local claimed = j.claim
  redis.call('HSET', KEYS[j.k], 'kind', j.kind, 'stream', c.stream, 'state', claimed and 'started' or 'requested',
    'token', claimed and 1 or 0, 'attempts', claimed and 1 or 0, 'free', 0, 'due', (c.at or now) + j.delay_ms,
    'since', c.at or now, 'expires_at', now + j.expires_ms, 'incarnation', claimed and c.incarnation or '', 'effect', j.effect,
    'began', head)
  if j.q > 0 then
    redis.call('HSET', KEYS[j.k], 'destination', j.destination, 'settle_ms', j.settle_ms, 'lease_until', now + c.lease_ms)
    -- Commits of a stream are numbered: what they queue keeps its order, and a repeat changes nothing.
    redis.call('ZADD', KEYS[j.q], 'NX', c.rev * 1000 + i, j.id)
    if redis.call('ZRANGE', KEYS[j.q], 0, 0)[1] ~= j.id then return end
  end
  if claimed then
    redis.call('ZADD', KEYS[11], now, j.kind .. '|' .. j.id)
  else
    redis.call('ZADD', KEYS[DUE[j.kind]], now + j.delay_ms, j.id)
  end
end

-- A settled row is kept for a while, so that a late outcome is told apart from one never asked for.
-- s: {k, kind, id, token, q, letter, keep_s}. Returns the delivery whose turn it is now in its queue, or nil.
local function settle_job(s, now)
  redis.call('HSET', KEYS[s.k], 'state', 'settled', 'token', s.token + 1)
  redis.call('EXPIRE', KEYS[s.k], s.keep_s)
  redis.call('ZREM', KEYS[DUE[s.kind]], s.id)
  redis.call('ZREM', KEYS[14], s.kind .. '|' .. s.id)
  if s.q == 0 then return nil end
  local first = redis.call('ZRANGE', KEYS[s.q], 0, 1)
  if first[1] == s.id and first[2] then redis.call('ZADD', KEYS[10], 'NX', now, first[2]) end
  redis.call('ZREM', KEYS[s.q], s.id)
  if s.letter then
    redis.call('ZREMRANGEBYSCORE', KEYS[15], '-inf', now - s.keep_s * 1000)
    redis.call('ZADD', KEYS[15], now, s.id)
  end
  return first[1] == s.id and first[2] or nil
end

-- The number of the newest entry the outbox ever had, delivered or not.
local function last_queued()
  if redis.call('EXISTS', KEYS[13]) == 0 then return 0 end
  local id = field(redis.call('XINFO', 'STREAM', KEYS[13]), 'last-generated-id')
  return tonumber(string.match(id, '^(%d+)'))
end

-- Writes everything. head: the log's head before the commit's own events. Returns the reply's fields.
local function write_commit(c, op, mark, head, found, resumed, now)
  local bodies, blobs = {}, {}
  for i, e in ipairs(c.events) do
    bodies[i] = ARGV[e.a]
    blobs[i] = e.b > 0 and { key = KEYS[e.b], id = e.id } or false
  end
  local moved = head == c.read_to
  local made
  made, head = write_events(KEYS[1], op, mark, bodies, blobs, head, found, c.at or now)
  local row = { 'HSET', KEYS[2], 'rev', c.rev + 1, 'op', op }
  local function set(name, value)
    row[#row + 1] = name
    row[#row + 1] = value
  end
  if moved then
    set('at', head)
    set('own', '')
  else
    set('at', c.read_to)
    set('own', #made > 0 and (made[1] .. '-' .. made[#made]) or '')
  end
  for _, f in ipairs((moved and #made > 0) and c.after or c.before) do set(f[1], ARGV[f[2]]) end
  set('waiting', c.waiting)
  if c.pause ~= '' then
    set('paused', c.pause)
    set('paused_at', now)
  end
  if #c.outbox > 0 then set('outbox', c.outbox_next) end
  redis.call(unpack(row))
  for _, s in ipairs(c.sent) do redis.call('HSET', KEYS[16], s[1], s[2]) end
  for i, j in ipairs(c.jobs) do write_job(c, i, j, now, head) end
  for _, s in ipairs(c.settles) do settle_job(s, now) end
  for _, x in ipairs(c.cancels) do
    if redis.call('EXISTS', KEYS[x.k]) == 1 then
      redis.call('HSET', KEYS[x.k], 'cancel', '1')
      redis.call('PUBLISH', c.cancel_channel, x.id)
    end
  end
  local queued = resumed and last_queued() or 0
  for _, o in ipairs(c.outbox) do
    if o.n > queued then redis.call('XADD', KEYS[13], o.n .. '-0', 'e', ARGV[o.a], 't', now) end
  end
  if #c.outbox > 0 then due_at_most(KEYS[10], c.stream, now) end
  redis.call('HDEL', KEYS[7], c.stream)
  -- A repeat may find that others appended since its first run.
  if not moved or c.behind or (resumed and head_of(KEYS[1]) > head) then
    redis.call('ZADD', KEYS[3], now, c.stream)
  elseif c.timer > 0 then
    redis.call('ZADD', KEYS[3], c.timer, c.stream)
  else
    redis.call('ZREM', KEYS[3], c.stream)
  end
  if #made > 0 then
    redis.call('ZADD', KEYS[6], now, c.stream)
    redis.call('PUBLISH', c.channel, head)
  end
  return { rev = c.rev + 1, offsets = made, moved = moved, head = head, now = now }
end
