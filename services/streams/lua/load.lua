-- load: everything an advance needs, in one round trip. Reads only.
-- KEYS 1 log(stream) 2 meta(hash) 3 clock(string)
-- ARGV 1 most events
-- Returns [meta as flat list, entries after the checkpoint, head, now]
local function now_ms(clock)
  local t = redis.call('TIME')
  local shift = redis.call('GET', clock)
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000) + tonumber(shift or 0)
end
local meta = redis.call('HGETALL', KEYS[2])
local at = tonumber(redis.call('HGET', KEYS[2], 'at') or 0)
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local head = 0
if #last > 0 then head = tonumber(string.match(last[1][1], '^(%d+)')) end
local entries = {}
if head > at and tonumber(ARGV[1]) > 0 then
  entries = redis.call('XRANGE', KEYS[1], (at + 1) .. '-0', '+', 'COUNT', ARGV[1])
end
return { meta, entries, head, now_ms(KEYS[3]) }
