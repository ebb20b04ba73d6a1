-- load: everything an advance needs, in one round trip. Reads only.
-- KEYS 1 log(stream) 2 meta(hash) 3 clock(string)
-- ARGV 1 most events
-- Returns [meta as flat list, entries after the checkpoint, head, now]
local row, entries, head = load_stream(KEYS[1], KEYS[2], tonumber(ARGV[1]))
return { row, entries, head, now_ms(KEYS[3]) }
