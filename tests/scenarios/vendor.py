"""The fake model vendor with scripts by session, so that conversations on one platform do not mix."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from types import TracebackType

from services.llm.provider import ChatMessage, ChatRequest, Finished, Piece, TextDelta, ToolCallRequest
from tests.fakes.llm_scripts import Answer, Script
from tests.fakes.llm_server import LLMServer, Recorded, echo
from tests.worker.waiting import wait_until

Responder = Callable[[Recorded], Script]
HELD_S = 60.0


class Gate:
    """Holds back one answer until it is opened; `entered` once the request is there."""

    def __init__(self, then: Script | None) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self._then = then

    def __call__(self, recorded: Recorded) -> Script:
        """Wait, then answer."""
        self.entered.set()
        assert self.opened.wait(HELD_S), "nobody opened the gate"
        return self._then or echo(recorded)

    def wait_entered(self) -> None:
        """Wait until the request is there."""
        assert self.entered.wait(15), "the request did not come"

    def open(self) -> None:
        """Let the answer go."""
        self.opened.set()


class Vendor:
    """A running fake vendor. Sessions without a script are answered with an echo."""

    def __init__(self) -> None:
        self._scripts: dict[str, deque[Script | Responder]] = defaultdict(deque)
        self._gates: list[Gate] = []
        self.server = LLMServer(respond=self._respond)
        self.url = self.server.url

    def __enter__(self) -> Vendor:
        self.server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
        self.server.__exit__(kind, error, traceback)

    @property
    def requests(self) -> list[Recorded]:
        """Everything that was asked."""
        return self.server.requests

    def will(self, session: str, *scripts: Script | Responder) -> None:
        """What to do with the next requests of a session, one script each."""
        self._scripts[session].extend(scripts)

    def hold(self, session: str, then: Script | None = None) -> Gate:
        """Hold back the answer to the session's next unscripted request."""
        gate = Gate(then)
        self._gates.append(gate)
        self._scripts[session].append(gate)
        return gate

    def release(self) -> None:
        """Open all gates that are still closed."""
        for gate in self._gates:
            gate.open()

    def asked(self, session: str) -> list[ChatRequest]:
        """The requests of a session, in order."""
        return [recorded.asked for recorded in list(self.requests) if recorded.asked.session == session]

    def wait_asked(self, session: str, count: int = 1) -> list[ChatRequest]:
        """Wait until a session asked `count` times."""
        wait_until(lambda: len(self.asked(session)) >= count)
        return self.asked(session)

    def _respond(self, recorded: Recorded) -> Script:
        scripts = self._scripts[recorded.asked.session]
        script = scripts.popleft() if scripts else echo
        return script(recorded) if callable(script) else script


def said(text: str) -> Answer:
    """An answer of one piece."""
    return Answer(pieces=(TextDelta(text), Finished(reason="stop", model="tiny")))


def calls(*wanted: tuple[str, str], text: str = "") -> Answer:
    """An answer that calls tools, each by name and JSON arguments."""
    pieces: list[Piece] = [TextDelta(text)] if text else []
    pieces += [
        ToolCallRequest(id=f"call-{i}", name=name, arguments=arguments)
        for i, (name, arguments) in enumerate(wanted)
    ]
    return Answer(pieces=(*pieces, Finished(reason="tool_calls", model="tiny")))


def assert_sendable(messages: Sequence[ChatMessage]) -> None:
    """What every vendor demands: each tool call answered once and at once, and a last word that is not the model's."""
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            assert message.call_id in waiting, f"{message.call_id} answers no call: {messages}"
            waiting.remove(message.call_id)
            continue
        assert not waiting, f"unanswered calls {waiting}: {messages}"
        waiting = [call.id for call in message.tool_calls]
    assert not waiting, f"unanswered calls {waiting}: {messages}"
    assert messages, "an empty request"
    assert messages[-1].role in ("user", "tool"), messages
