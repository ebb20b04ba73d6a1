"""Script texts with a fault in them, for `Store(read=...)`: the n-th write fails, or all writes are counted.

The prefix shadows `redis` inside one script; what is not known as a read counts as a write.
"""

from __future__ import annotations

from collections.abc import Callable

from services.streams.store import Script, read_script, script_of

READS = "EXISTS GET HEXISTS HGET HGETALL HMGET TIME TYPE XINFO XLEN XRANGE XREVRANGE ZCARD ZRANGE ZRANGEBYSCORE ZSCORE"
# A standing clock makes two runs comparable byte by byte.
NOW_S = 1_700_000_000

_PREFIX = """
local true_redis, writes = redis, 0
local reads = {}
for name in string.gmatch('%(reads)s', '%%a+') do reads[name] = true end
local is_repeat = string.find(ARGV[1] or '', '"again":true', 1, true)
local redis = { call = function(name, ...)
  if name == 'TIME' and %(standing)s then return { '%(now)d', '0' } end
  if not reads[name] then
    writes = writes + 1
    if writes == %(fail_at)d and not (is_repeat and %(once)s) then error('injected fault') end
  end
  return true_redis.call(name, ...)
end }
local function script()
"""
_SUFFIX = """
end
local reply = script()
%(after)s
return reply
"""


def standing_clock(name: str) -> Script:
    """The script as it is, at a time that stands still."""
    return _wrapped(name, fail_at=0)


def failing(script: str, *, at: int, once: bool, standing: bool = True) -> Callable[[str], Script]:
    """Scripts of which `script` fails at its `at`-th write; `once` spares the repeat of the same operation."""

    def read(name: str) -> Script:
        return _wrapped(name, fail_at=at if name == script else 0, once=once, standing=standing)

    return read


def counting(script: str, key: str) -> Callable[[str], Script]:
    """Scripts of which `script` leaves the number of its writes under `key`."""

    def read(name: str) -> Script:
        after = f"true_redis.call('SET', '{key}', writes)" if name == script else ""
        return _wrapped(name, fail_at=0, after=after)

    return read


def _wrapped(
    name: str, *, fail_at: int, once: bool = False, standing: bool = True, after: str = ""
) -> Script:
    filled = {"reads": READS, "now": NOW_S, "fail_at": fail_at}
    filled |= {"once": _lua(once), "standing": _lua(standing)}
    text = _PREFIX % filled + read_script(name).text + _SUFFIX % {"after": after}
    return script_of(name, text)


def _lua(flag: bool) -> str:
    return "true" if flag else "false"
