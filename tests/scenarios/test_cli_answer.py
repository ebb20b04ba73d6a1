"""An answer shown while it is written: every piece once, and in the end the whole text."""

from __future__ import annotations

import msgspec
import pytest

from deploy.cli.asking import Answer, Withdrawn
from deploy.cli.live import DeltaView, Heartbeat, News
from deploy.cli.output import plain
from services.sessions.values import EventView
from services.streams.payload import Payload
from services.streams.vocabulary import InputWithdrawn, LLMRequested, TurnSettled


def _event(offset: int, type: str, payload: Payload) -> EventView:
    raw = msgspec.Raw(msgspec.json.encode(payload))
    return EventView(offset=offset, type=type, v=1, payload=raw, created_at=0)


def _asked(job: str, *inputs: int) -> EventView:
    return _event(5, "llm.requested", LLMRequested(turn=1, job=job, step=1, inputs=inputs, upto=0))


def _settled(text: str, *inputs: int) -> EventView:
    return _event(9, "turn.settled", TurnSettled(turn=1, outcome="answered", inputs=inputs, text=text))


def _delta(seq: int, text: str, *, job: str = "s@1", attempt: int = 1) -> DeltaView:
    return DeltaView(job=job, attempt=attempt, seq=seq, text=text)


def _shown(*news: News) -> str:
    written: list[str] = []
    Answer(2, written.append).wait(news, lambda: None)
    return "".join(written)


def test_pieces_are_shown_as_they_come_and_completed_at_the_end() -> None:
    shown = _shown(_asked("s@1", 2), _delta(0, "Hel"), _delta(1, "lo "), _settled("Hello you", 2))

    assert shown == "Hello you\n"


def test_without_any_piece_the_whole_text_is_shown() -> None:
    assert _shown(_asked("s@1", 2), _settled("Hello", 2)) == "Hello\n"


def test_after_a_lost_piece_the_rest_is_shown_at_the_end() -> None:
    shown = _shown(_asked("s@1", 2), _delta(0, "He"), _delta(2, "o"), _delta(3, "!"), _settled("Hello!", 2))

    assert shown == "Hello!\n"


def test_pieces_of_a_run_that_was_joined_midway_wait_for_the_end() -> None:
    assert _shown(_asked("s@1", 2), _delta(7, "lo"), _delta(8, "!"), _settled("Hello!", 2)) == "Hello!\n"


def test_a_second_attempt_starts_on_a_new_line() -> None:
    shown = _shown(_asked("s@1", 2), _delta(0, "He"), _delta(0, "Hello", attempt=2), _settled("Hello", 2))

    assert shown == "He\nHello\n"


def test_what_belongs_to_other_inputs_is_not_shown() -> None:
    shown = _shown(_asked("s@1", 1), _delta(0, "no"), _settled("no", 1), _asked("s@2", 2), _settled("yes", 2))

    assert shown == "yes\n"


def test_a_withdrawn_input_has_no_answer() -> None:
    with pytest.raises(Withdrawn):
        _shown(_event(3, "input.withdrawn", InputWithdrawn(input=2)))


def test_silence_is_noticed() -> None:
    calls: list[int] = []

    Answer(2, None).wait([Heartbeat(), Heartbeat(), _settled("x", 2)], lambda: calls.append(1))

    assert len(calls) == 2


def test_text_can_not_steer_the_terminal() -> None:
    assert plain("a\x1b[2Jb\x9bc\r\nd\te\u202ef") == "a\ufffd[2Jb\ufffdc \nd\te\ufffdf"
    assert plain("a\nb", one_line=True) == "a b"
