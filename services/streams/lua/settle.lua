-- settle: the one outcome of a job, and, when nothing came between, the next commit with it. KEYS and c: see _commit.
-- ARGV 1 header: {op, again, stream, channel, job: {k, kind, id, token, incarnation, q, letter, keep_s}, events: [{a, b, id}], c: nil or a commit
--        whose read_to is the head after these events}   2.. bodies and states by index
-- Returns {offsets, head, now, commit: nil | reply of the commit, why: why there is none, following: the
--         delivery whose turn it is now} | {refused: late|type|blob|too_many}
local h = cjson.decode(ARGV[1])
local bad = commit_types() or check_types({ { KEYS[h.job.k], 'hash' } }) or (h.job.q > 0 and check_types({ { KEYS[h.job.q], 'zset' } }))
if bad then return refuse('type', bad) end
local known = redis.call('GET', KEYS[4])
if known then return known end
local now = now_ms(KEYS[5])
local head, last = head_of(KEYS[1])
local found, resumed = written_before(KEYS[1], h.op, last, h.again)
local job = redis.call('HMGET', KEYS[h.job.k], 'state', 'token', 'incarnation')
local ours = job[1] == 'started' and job[3] == h.job.incarnation
if not resumed and not (ours and tonumber(job[2]) == h.job.token) then
  -- A newer claim of the same holder keeps its place.
  if not ours then redis.call('ZREM', KEYS[11], h.job.kind .. '|' .. h.job.id) end
  return refuse('late')
end
if is_too_large(#h.events) then return refuse('too_many') end
for _, e in ipairs(h.events) do
  if e.b > 0 and redis.call('EXISTS', KEYS[e.b]) == 0 then return refuse('blob', e.id) end
end
if resumed then
  for _, offset in pairs(found) do if offset <= head then head = math.min(head, offset - 1) end end
end

local ride, why = h.c, nil
if ride then
  local row = redis.call('HMGET', KEYS[2], 'rev', 'op')
  if row[2] ~= h.op then
    if tonumber(row[1] or 0) ~= ride.rev then
      ride, why = nil, 'rev'
    elseif head + #h.events ~= ride.read_to then
      ride, why = nil, 'head'
    else
      why = commit_refusal(ride, now)
      if why then ride = nil end
    end
  end
end

local bodies, blobs = {}, {}
for i, e in ipairs(h.events) do
  bodies[i] = ARGV[e.a]
  blobs[i] = e.b > 0 and { key = KEYS[e.b], id = e.id } or false
end
local made
made, head = write_events(KEYS[1], h.op, 1, bodies, blobs, head, found, ride and ride.at or now)
local following = settle_job(h.job, now)
redis.call('ZREM', KEYS[11], h.job.kind .. '|' .. h.job.id)
local reply = { offsets = made, head = head, now = now, why = why, following = following }
if ride then
  reply.commit = write_commit(ride, h.op, #bodies + 1, head, found, resumed, now)
  reply.head = reply.commit.head
else
  due_at_most(KEYS[3], h.stream, now)
  redis.call('ZADD', KEYS[6], now, h.stream)
  redis.call('PUBLISH', h.channel, head)
end
local text = cjson.encode(reply)
redis.call('SET', KEYS[4], text, 'EX', 600)
return text
