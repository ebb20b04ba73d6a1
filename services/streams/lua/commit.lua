-- commit: what the processors decided, all of it or nothing. KEYS and c: see _commit.
-- ARGV 1 header: {op, again, c}   2.. bodies and states by index
-- Returns {rev, offsets, moved, head, now} | {refused: rev|job_settled|job_exists|paused|revoked|blob|too_many|type}
local h = cjson.decode(ARGV[1])
local c = h.c
local bad = commit_types()
if bad then return refuse('type', bad) end
local known = redis.call('GET', KEYS[4])
if known then return known end
local now = now_ms(KEYS[5])
local head, last = head_of(KEYS[1])
local found, resumed = written_before(KEYS[1], h.op, last, h.again)
local row = redis.call('HMGET', KEYS[2], 'rev', 'op')
local mine = resumed or row[2] == h.op
if not mine then
  if tonumber(row[1] or 0) ~= c.rev then return refuse('rev') end
  local why = commit_refusal(c, now)
  if why then return refuse(why) end
elseif resumed then
  for _, offset in pairs(found) do if offset <= head then head = math.min(head, offset - 1) end end
end
local reply = cjson.encode(write_commit(c, h.op, 1, head, found, mine, now))
redis.call('SET', KEYS[4], reply, 'EX', 600)
return reply
