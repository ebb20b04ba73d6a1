-- append: add events from outside the stream's own processors. One fsync acknowledges them.
-- KEYS 1 log(stream) 2 meta(hash) 3 due-advance(zset) 4 op(string) 5 clock(string) 6 recent(zset)
--      7 marks(hash) 8.. idempotency keys(string), blobs(string) and the ledger(zset), by index
-- ARGV 1 header: {op, again, stream, channel, create, exists, expected, external, most, wins, quiet, source, n, idem_ms,
--        ledger: KEYS index, 0 where nothing is listed, ledger_ms: how long it is,
--        events: [{k: KEYS index or 0, fp, b: KEYS index or 0, id: blob id}]}   2.. bodies, the creation first
-- Returns {offsets, duplicates, head, now} | {refused: not_found|key_reused|offset|paused|full|gap|type|blob|done|too_many}
local h = cjson.decode(ARGV[1])
local log, meta, due, opkey, clock, recent = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

local bad = check_types({ { log, 'stream' }, { meta, 'hash' }, { due, 'zset' }, { opkey, 'string' }, { recent, 'zset' },
  { KEYS[7], 'hash' } }) or (h.ledger > 0 and check_types({ { KEYS[h.ledger], 'zset' } }))
if bad then return refuse('type', bad) end
if is_too_large(#h.events) then return refuse('too_many') end
local known = redis.call('GET', opkey)
if known then return known end

local now = now_ms(clock)
local head, last = head_of(log)
local found, resumed = written_before(log, h.op, last, h.again)
local mark = h.source ~= '' and h.source or nil

if mark and not resumed then
  local seen = redis.call('HGET', KEYS[7], mark)
  local at, result = 0, nil
  if seen then
    at, result = string.match(seen, '^(%d+)|(.*)$')
    at = tonumber(at)
  end
  if h.n == at and result then return result end
  if h.n < at then return refuse('done') end
  if h.n > at + 1 then return refuse('gap', tostring(at)) end
end

-- A definite refusal of a cross-stream append moves the mark too, even where there is no stream: its queue
-- would never go on otherwise.
local function final(reply)
  if mark then redis.call('HSET', KEYS[7], mark, h.n .. '|' .. reply) end
  return reply
end

-- An event's mark is its place in the call plus one; the creation's is 1. twins: same key, same call.
local offsets, duplicates, twins, first_of = {}, {}, {}, {}
local bodies, blobs, marks, fresh = {}, {}, {}, {}
if head == 0 and h.exists then return final(refuse('not_found')) end
for i, e in ipairs(h.events) do
  local hit = e.k > 0 and not found[i + 1] and redis.call('GET', KEYS[e.k])
  local twin = e.k > 0 and first_of[KEYS[e.k]]
  local print = twin and h.events[twin].fp
  if hit then offsets[i], print = string.match(hit, '^(%d+):(.*)$') end
  if print and print ~= e.fp and not h.wins and not resumed then return final(refuse('key_reused')) end
  duplicates[i] = (hit or twin) and true or false
  if hit then
    offsets[i] = tonumber(offsets[i])
  elseif twin then
    twins[i] = twin
  else
    if e.k > 0 then first_of[KEYS[e.k]] = i end
    fresh[#fresh + 1] = i
    bodies[#bodies + 1] = ARGV[(h.create and 2 or 1) + i]
    blobs[#blobs + 1] = e.b > 0 and { key = KEYS[e.b], id = e.id } or false
    marks[#marks + 1] = i + 1
  end
end

if #fresh > 0 and not resumed then
  if h.expected >= 0 and head ~= h.expected then return final(refuse('offset', tostring(head))) end
  if h.external then
    local row = redis.call('HMGET', meta, 'paused', 'at', 'waiting')
    if row[1] then return refuse('paused', row[1]) end
    local unread = head - tonumber(row[2] or 0)
    if h.most > 0 and unread + tonumber(row[3] or 0) >= h.most then return refuse('full') end
  end
  for _, b in ipairs(blobs) do
    if b and redis.call('EXISTS', b.key) == 0 then return refuse('blob', b.id) end
  end
end

local function answer()
  return cjson.encode({ offsets = offsets, duplicates = duplicates, head = head, now = now })
end

if #fresh == 0 then return final(answer()) end

local before = 0
if h.create and (head == 0 or found[1]) then
  table.insert(bodies, 1, ARGV[2])
  table.insert(blobs, 1, false)
  table.insert(marks, 1, 1)
  before = 1
end
local made
made, head = write_events(log, h.op, marks, bodies, blobs, head, found, now)
for j, i in ipairs(fresh) do offsets[i] = made[before + j] end
for i, twin in pairs(twins) do offsets[i] = offsets[twin] end
for _, i in ipairs(fresh) do
  local e = h.events[i]
  if e.k > 0 then redis.call('SET', KEYS[e.k], offsets[i] .. ':' .. e.fp, 'PX', h.idem_ms) end
end
due_at_most(due, h.stream, now)
if h.ledger > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[h.ledger], '-inf', now - h.ledger_ms)
  for _, i in ipairs(fresh) do redis.call('ZADD', KEYS[h.ledger], now, h.stream .. '@' .. offsets[i]) end
end
if not h.quiet then redis.call('ZADD', recent, now, h.stream) end
local reply = answer()
if mark then redis.call('HSET', KEYS[7], mark, h.n .. '|' .. reply) end
redis.call('SET', opkey, reply, 'EX', 600)
redis.call('PUBLISH', h.channel, head)
return reply
