"""The model of a measurement, as a process: echoes the last text of the user, in chunks, after a delay.

`python -m tests.benchmarks.vendor --delay-ms 20 --chunks 4 --gap-ms 0` prints its address. Without a gap all
chunks leave in one write.
"""

from __future__ import annotations

import argparse
import asyncio

import msgspec

from tests.benchmarks.endpoint import Caller, serve

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


class _Said(msgspec.Struct, frozen=True):
    role: str
    text: str = ""


class _Asked(msgspec.Struct, frozen=True):
    messages: tuple[_Said, ...]


class Vendor:
    """Answers each request with `chunks` pieces of text, `gap_s` apart, the first one after `delay_s`."""

    def __init__(self, *, delay_s: float, chunks: int, gap_s: float) -> None:
        self._delay_s, self._chunks, self._gap_s = delay_s, chunks, gap_s
        self._read = msgspec.json.Decoder(_Asked)

    def received(self, caller: Caller, first_line: bytes, body: bytes) -> None:
        """See `endpoint.Caller`."""
        asked = self._read.decode(body)
        last = next((said.text for said in reversed(asked.messages) if said.role == "user"), "")
        parts = _answer(last, self._chunks)
        loop = asyncio.get_running_loop()
        if not self._gap_s:
            loop.call_later(self._delay_s, caller.write, HEAD + b"".join(parts) + LAST)
            return
        loop.call_later(self._delay_s, caller.write, HEAD)
        for place, part in enumerate(parts):
            loop.call_later(self._delay_s + place * self._gap_s, caller.write, part)
        loop.call_later(self._delay_s + len(parts) * self._gap_s, caller.write, LAST)


def _answer(text: str, chunks: int) -> list[bytes]:
    lines: list[dict[str, object]] = [{"text": f"echo {text}"}]
    lines += [{"text": f" word{place}"} for place in range(1, chunks)]
    lines.append({"usage": {"input": len(text.split()), "output": chunks}})
    lines.append({"done": "stop", "model": "echo"})
    parts = (msgspec.json.encode(line) + b"\n" for line in lines)
    return [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]


def main() -> None:
    """Serve until the process is ended."""
    options = argparse.ArgumentParser(description="A model for measurements.")
    options.add_argument("--delay-ms", type=float, default=20.0)
    options.add_argument("--chunks", type=int, default=4)
    options.add_argument("--gap-ms", type=float, default=0.0)
    chosen = options.parse_args()
    vendor = Vendor(delay_s=chosen.delay_ms / 1000, chunks=chosen.chunks, gap_s=chosen.gap_ms / 1000)
    serve(vendor.received)


if __name__ == "__main__":
    main()
