-- Included by load and take_up: what an advance needs of a stream, at one instant. Reads only.
-- Returns its row as a flat list, the entries after its checkpoint, its head.
local function load_stream(log, meta, most)
  local row = redis.call('HGETALL', meta)
  local at = tonumber(redis.call('HGET', meta, 'at') or 0)
  local head = head_of(log)
  local entries = {}
  if head > at and most > 0 then
    entries = redis.call('XRANGE', log, (at + 1) .. '-0', '+', 'COUNT', most)
  end
  return row, entries, head
end
