"""The model of a measurement, as a process: echoes the last text of the user, in chunks, after a delay.

`python -m tests.benchmarks.vendor --delay-ms 20 --chunks 4 --gap-ms 0 --dialect lines` prints its address. Without
a gap all chunks leave in one write. `GET /flowing` answers how many answers are being sent now, and how many
chunks were.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tests.benchmarks.endpoint import Caller, serve

LAST = b"0\r\n\r\n"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"


class Said(msgspec.Struct, frozen=True):
    """One message of a request; `lines` calls its words text, OpenAI content."""

    role: str
    text: str = ""
    content: str | None = None


class Asked(msgspec.Struct, frozen=True):
    """What is read of a request."""

    messages: tuple[Said, ...]

    @property
    def last(self) -> str:
        """The last words of the user."""
        return next(
            (each.text or each.content or "" for each in reversed(self.messages) if each.role == "user"), ""
        )


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer is written: its type, and its parts from the texts they carry."""

    type: bytes
    parts: Callable[[Sequence[str]], list[bytes]]


class Vendor:
    """Answers each request with `chunks` pieces of text, `gap_s` apart, the first one after `delay_s`."""

    def __init__(self, dialect: Dialect, *, delay_s: float, chunks: int, gap_s: float) -> None:
        self._head, self._parts = _HEAD % dialect.type, dialect.parts
        self._delay_s, self._gap_s = delay_s, gap_s
        self._more = [f" word{place}" for place in range(1, chunks)]
        self._read = msgspec.json.Decoder(Asked)
        self._flowing = self._sent = 0

    def received(self, caller: Caller, first_line: bytes, body: bytes) -> None:
        """See `endpoint.Caller`."""
        if first_line.startswith(b"GET"):
            caller.answer(msgspec.json.encode({"now": self._flowing, "chunks": self._sent}))
            return
        parts = [_chunk(part) for part in self._parts([f"echo {self._read.decode(body).last}", *self._more])]
        loop = asyncio.get_running_loop()
        if self._gap_s:
            loop.call_later(self._delay_s, self._flow, caller, parts)
        else:
            loop.call_later(self._delay_s, caller.write, self._head + b"".join(parts) + LAST)

    def _flow(self, caller: Caller, parts: Sequence[bytes]) -> None:
        self._flowing += 1
        caller.write(self._head)
        loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()

        def send(place: int) -> None:
            caller.write(parts[place])
            self._sent += 1
            if place + 1 < len(parts):
                loop.call_at(began + (place + 1) * self._gap_s, send, place + 1)
            else:
                caller.write(LAST)
                self._flowing -= 1

        send(0)


def _lines(texts: Sequence[str]) -> list[bytes]:
    lines: list[dict[str, object]] = [{"text": text} for text in texts]
    lines.append({"usage": {"input": len(texts[0].split()), "output": len(texts)}})
    lines.append({"done": "stop", "model": "echo"})
    return [msgspec.json.encode(line) + b"\n" for line in lines]


def _openai(texts: Sequence[str]) -> list[bytes]:
    def event(choices: list[dict[str, object]], usage: Mapping[str, int] | None = None) -> bytes:
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "echo",
            "choices": choices,
            "usage": usage,
        }
        return b"data: " + msgspec.json.encode(chunk) + b"\n\n"

    def said(delta: Mapping[str, str], end: str | None = None) -> bytes:
        return event([{"index": 0, "delta": delta, "finish_reason": end}])

    count = {"prompt_tokens": 7, "completion_tokens": len(texts), "total_tokens": 7 + len(texts)}
    return [
        *(said({"content": text}) for text in texts),
        said({}, "stop"),
        event([], count),
        b"data: [DONE]\n\n",
    ]


DIALECTS = {
    "lines": Dialect(type=b"application/x-ndjson", parts=_lines),
    "openai": Dialect(type=b"text/event-stream", parts=_openai),
}


def _chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


def main() -> None:
    """Serve until the process is ended."""
    options = argparse.ArgumentParser(description="A model for measurements.")
    options.add_argument("--dialect", choices=sorted(DIALECTS), default="lines")
    options.add_argument("--delay-ms", type=float, default=20.0)
    options.add_argument("--chunks", type=int, default=4)
    options.add_argument("--gap-ms", type=float, default=0.0)
    chosen = options.parse_args()
    vendor = Vendor(
        DIALECTS[chosen.dialect],
        delay_s=chosen.delay_ms / 1000,
        chunks=chosen.chunks,
        gap_s=chosen.gap_ms / 1000,
    )
    serve(vendor.received)


if __name__ == "__main__":
    main()
