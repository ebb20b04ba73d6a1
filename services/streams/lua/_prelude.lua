-- Included by every writing script. Source of time, log head, bounds, event writing, refusals.
-- An entry of the log: id <offset>-0, fields e (envelope), t (epoch ms), o (operation:n), b (blob id).

local function now_ms(clock)
  local t = redis.call('TIME')
  local shift = redis.call('GET', clock)
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000) + tonumber(shift or 0)
end

local function field(entry, name)
  for i = 1, #entry, 2 do
    if entry[i] == name then return entry[i + 1] end
  end
  return nil
end

local function head_of(log)
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
  if #last == 0 then return 0, nil end
  return tonumber(string.match(last[1][1], '^(%d+)')), last[1][2]
end

local function refuse(reason, detail)
  return cjson.encode({ refused = reason, detail = detail })
end

-- The type of every key is checked before the first write: a wrong one would stop a script midway.
local function check_types(pairs_)
  for _, p in ipairs(pairs_) do
    local t = redis.call('TYPE', p[1]).ok
    if t ~= 'none' and t ~= p[2] then return p[1] end
  end
  return nil
end

-- For scripts whose reply is no document.
local function wrong_type(key)
  return redis.error_reply('ERR ' .. key .. ' has a wrong type')
end

-- A call is bounded: at most 128 events and about 1 MB, so that no script holds the store up for long.
local function is_too_large(count)
  local bytes = 0
  for i = 1, #ARGV do bytes = bytes + #ARGV[i] end
  return count > 128 or bytes > 1200000
end

-- Offsets that an interrupted earlier run of the same operation has written already, by position.
local function written_before(log, op, last, again)
  local found = {}
  local o = last and field(last, 'o') or ''
  if not again and string.sub(o, 1, #op + 1) ~= op .. ':' then return found, false end
  local any = false
  for _, entry in ipairs(redis.call('XREVRANGE', log, '+', '-', 'COUNT', 300)) do
    local mark = field(entry[2], 'o') or ''
    if string.sub(mark, 1, #op + 1) == op .. ':' then
      found[tonumber(string.sub(mark, #op + 2))] = tonumber(string.match(entry[1], '^(%d+)'))
      any = true
    end
  end
  return found, any
end

-- Appends bodies[i] (with blobs[i] or false) in order; returns their offsets and the new head.
-- marks: the first mark, or one per body. They stand for the event's place in its operation, so that a
-- repeat finds what the first run wrote.
local function write_events(log, op, marks, bodies, blobs, head, found, now)
  local offsets = {}
  for i = 1, #bodies do
    local mark = type(marks) == 'table' and marks[i] or marks + i - 1
    if found[mark] then
      offsets[i] = found[mark]
      if found[mark] > head then head = found[mark] end
    else
      head = head + 1
      if blobs[i] then
        redis.call('XADD', log, head .. '-0', 'e', bodies[i], 't', now, 'o', op .. ':' .. mark, 'b', blobs[i].id)
      else
        redis.call('XADD', log, head .. '-0', 'e', bodies[i], 't', now, 'o', op .. ':' .. mark)
      end
      offsets[i] = head
    end
    if blobs[i] then redis.call('PERSIST', blobs[i].key) end
  end
  return offsets, head
end

-- A member is taken: put off, so that nobody else works on it meanwhile. From the third counted take without a commit on for
-- longer: what kills each worker that runs it must not kill a lone one five times in a minute, after which nobody would start
-- it again. n: the count of this take, 0 for one that is not counted.
local function put_off(due, takes, member, n, grace_ms, now)
  redis.call('ZADD', due, 'XX', now + grace_ms * math.max(1, math.min(n - 1, 3)), member)
  if n > 0 then redis.call('HINCRBY', takes, member, 1) end
end

local function due_at_most(due, member, score)
  local old = redis.call('ZSCORE', due, member)
  if not old or tonumber(old) > score then redis.call('ZADD', due, score, member) end
end
