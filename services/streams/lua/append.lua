-- append: add events from outside the stream's own processors. One fsync acknowledges them.
-- KEYS 1 log(stream) 2 meta(hash) 3 due-advance(zset) 4 op(string) 5 clock(string) 6 recent(zset)
--      7.. idempotency keys(string) and blobs(string), by index
-- ARGV 1 header: {op, again, stream, channel, create, exists, expected, external, most, wins, source, n, idem_ms,
--        events: [{k: KEYS index or 0, fp, b: KEYS index or 0, id: blob id}]}   2.. bodies, the creation first
-- Returns {offsets, duplicates, head, now} | {refused: not_found|key_reused|offset|paused|full|gap|type|blob|done}
local h = cjson.decode(ARGV[1])
local log, meta, due, opkey, clock, recent = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

local bad = check_types({ { log, 'stream' }, { meta, 'hash' }, { due, 'zset' }, { opkey, 'string' }, { recent, 'zset' } })
if bad then return refuse('type', bad) end
local known = redis.call('GET', opkey)
if known then return known end

local now = now_ms(clock)
local head, last = head_of(log)
local found, resumed = written_before(log, h.op, last, h.again)
local mark = h.source ~= '' and 'mark:' .. h.source or nil

if mark and not resumed then
  local seen = redis.call('HGET', meta, mark)
  local at, result = 0, nil
  if seen then
    at, result = string.match(seen, '^(%d+)|(.*)$')
    at = tonumber(at)
  end
  if h.n == at and result then return result end
  if h.n < at then return refuse('done') end
  if h.n > at + 1 then return refuse('gap', tostring(at)) end
end

-- A definite refusal of a cross-stream append moves the mark too, or its queue would never go on.
local function final(reply)
  if mark and head > 0 then redis.call('HSET', meta, mark, h.n .. '|' .. reply) end
  return reply
end

local offsets, duplicates, bodies, blobs, fresh = {}, {}, {}, {}, {}
if not resumed then
  if head == 0 and h.exists then return final(refuse('not_found')) end
  for i, e in ipairs(h.events) do
    local hit = e.k > 0 and redis.call('GET', KEYS[e.k])
    if hit then
      local offset, print = string.match(hit, '^(%d+):(.*)$')
      if print ~= e.fp and not h.wins then return final(refuse('key_reused')) end
      offsets[i], duplicates[i] = tonumber(offset), true
    end
  end
end
for i, e in ipairs(h.events) do
  if not duplicates[i] then
    duplicates[i] = false
    fresh[#fresh + 1] = i
    bodies[#bodies + 1] = ARGV[(h.create and 2 or 1) + i]
    blobs[#blobs + 1] = e.b > 0 and { key = KEYS[e.b], id = e.id } or false
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

if h.create and (head == 0 or found[1]) then
  table.insert(bodies, 1, ARGV[2])
  table.insert(blobs, 1, false)
  local made
  made, head = write_events(log, h.op, 1, bodies, blobs, head, found, now)
  for j, i in ipairs(fresh) do offsets[i] = made[j + 1] end
else
  local made
  made, head = write_events(log, h.op, 2, bodies, blobs, head, found, now)
  for j, i in ipairs(fresh) do offsets[i] = made[j] end
end
for _, i in ipairs(fresh) do
  local e = h.events[i]
  if e.k > 0 then redis.call('SET', KEYS[e.k], offsets[i] .. ':' .. e.fp, 'PX', h.idem_ms) end
end
due_at_most(due, h.stream, now)
redis.call('ZADD', recent, now, h.stream)
local reply = answer()
if mark then redis.call('HSET', meta, mark, h.n .. '|' .. reply) end
redis.call('SET', opkey, reply, 'EX', 600)
redis.call('PUBLISH', h.channel, head)
return reply
