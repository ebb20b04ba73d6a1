-- take_up: a stream that is due is taken by who works on it now: put off by a grace, the take counted as `take` counts,
-- and loaded. A repeat after a lost reply finds it put off: the grace brings it back.
-- KEYS 1 due-advance(zset) 2 takes-advance(hash) 3 clock(string) 4 log(stream) 5 meta(hash)
-- ARGV 1 stream 2 grace ms 3 most events 4 how long, in ms, it may have been due to be let off
-- One that became due just now, and was not taken since its last commit, is let off: nothing is written, so nothing is
-- fsynced before the work begins. Two that follow hints to it at once do the same work, and one of them commits.
-- Returns [] when it is not due, else [takes, lateness in ms, meta as flat list, entries after the checkpoint,
--         head, now]
local bad = check_types({ { KEYS[1], 'zset' }, { KEYS[2], 'hash' }, { KEYS[4], 'stream' }, { KEYS[5], 'hash' } })
if bad then return wrong_type(bad) end
local now = now_ms(KEYS[3])
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
local late = score and now - tonumber(score) or -1
if late < 0 then return {} end
local n = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0) + 1
if n > 1 or late >= tonumber(ARGV[4]) then
  put_off(KEYS[1], KEYS[2], ARGV[1], n, tonumber(ARGV[2]), now)
end
local row, entries, head = load_stream(KEYS[4], KEYS[5], tonumber(ARGV[3]))
return { n, late, row, entries, head, now }
