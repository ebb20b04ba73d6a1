"""What people read in a thread: the answer, how a turn ended without one, or a note."""

from __future__ import annotations

import msgspec

from services.channels.contract import Letter
from services.channels.said import said
from services.streams.vocabulary import TurnOutcome, TurnSettled
from tests.fakes.letters import letter_to


def letter(outcome: TurnOutcome, text: str = "") -> Letter:
    turn = TurnSettled(turn=1, outcome=outcome, inputs=(2,), text=text, reason="quota")
    return msgspec.structs.replace(letter_to("slack:T1:C1:1.2"), turn=turn)


def test_what_did_not_end_well_says_so() -> None:
    assert said(letter("answered", "Yes.")) == "Yes."
    assert said(letter("answered")).strip()
    assert said(letter("failed")).endswith("(quota)")
    assert said(letter("limited", "So far")).startswith("So far\n\n")


def test_a_note_is_said_as_it_is() -> None:
    assert said(msgspec.structs.replace(letter("answered", "unsaid"), note="Still there.")) == "Still there."
