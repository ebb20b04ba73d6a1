"""What every channel must do. Subclass `ChannelSuite` and bring the fixture `stand`."""

from __future__ import annotations

import time
from typing import Literal, Protocol

import msgspec

from services.channels.contract import Channel, Letter
from tests.fakes.letters import CANARY, FakeSending, Posting, failure

Behaviour = Literal["accept", "reject", "overload", "hold", "hang_up"]

RETRY_AFTER_S = 7.0
OUTSIDE = "canary-of-the-answer"


class Stand(Protocol):
    """A channel, and the outside it talks to: a real server that does what it is told."""

    channel: Channel

    def letter(self) -> Letter:
        """A new letter to the server."""

    def letter_to_nobody(self) -> Letter:
        """A new letter to where nothing listens."""

    def will(self, *behaviours: Behaviour) -> None:
        """What to do with the next letters; then they are accepted.

        `overload` names `RETRY_AFTER_S`; `reject` answers with `OUTSIDE`; `hold` never answers;
        `hang_up` takes the letter and says nothing.
        """

    def arrived(self) -> list[str]:
        """The markers of all letters that reached the server whole, in order."""

    def wait_arrived(self, count: int) -> None:
        """Wait until so many letters reached the server."""


class ChannelSuite:
    """The tests; `stand` is made anew for each."""

    def test_an_accepted_letter_arrives_once_with_its_marker(self, stand: Stand) -> None:
        letter = stand.letter()
        sending = FakeSending()

        receipt = stand.channel.send(letter, sending)

        assert 200 <= receipt.status < 300
        assert stand.arrived() == [letter.marker]
        assert sending.starts == 1

    def test_every_attempt_at_a_letter_carries_the_same_marker(self, stand: Stand) -> None:
        letter = stand.letter()
        stand.will("reject")

        failure(stand.channel, letter)
        stand.channel.send(msgspec.structs.replace(letter, is_repeat=True), FakeSending())

        assert stand.arrived() == [letter.marker, letter.marker]

    def test_a_no_is_rejected_and_nothing_is_repeated_by_the_channel(self, stand: Stand) -> None:
        stand.will("reject")

        error = failure(stand.channel, stand.letter())

        assert error.kind == "rejected"
        assert len(stand.arrived()) == 1

    def test_an_overloaded_receiver_says_exactly_when_to_come_back(self, stand: Stand) -> None:
        stand.will("overload")

        error = failure(stand.channel, stand.letter())

        assert (error.kind, error.retry_after_s) == ("overloaded", RETRY_AFTER_S)

    def test_where_nothing_listens_nothing_was_sent(self, stand: Stand) -> None:
        sending = FakeSending()

        error = failure(stand.channel, stand.letter_to_nobody(), sending)

        assert error.kind == "not_sent"
        assert sending.starts == 0

    def test_a_letter_that_may_not_start_is_not_sent(self, stand: Stand) -> None:
        error = failure(stand.channel, stand.letter(), FakeSending(may_start=False))

        assert error.kind == "cancelled"
        assert stand.arrived() == []

    def test_a_letter_cancelled_before_it_began_is_not_sent(self, stand: Stand) -> None:
        sending = FakeSending()
        sending.cancel()

        assert failure(stand.channel, stand.letter(), sending).kind == "cancelled"
        assert stand.arrived() == []

    def test_a_cancel_frees_a_sender_that_waits_for_an_answer(self, stand: Stand) -> None:
        stand.will("hold")
        posting = Posting(stand.channel, stand.letter())
        stand.wait_arrived(1)

        posting.sending.cancel()

        error = posting.wait(2).error
        assert error is not None
        assert error.kind == "cancelled"

    def test_a_cancel_after_the_end_touches_no_later_letter(self, stand: Stand) -> None:
        first = FakeSending()
        stand.channel.send(stand.letter(), first)
        stand.will("hold")
        posting = Posting(stand.channel, stand.letter(), FakeSending())
        stand.wait_arrived(2)

        first.cancel()

        assert not posting.sending.is_cancelled()
        assert posting.error is None
        posting.sending.cancel()
        posting.wait()

    def test_a_receiver_that_never_answers_costs_no_more_than_the_time_limit(self, stand: Stand) -> None:
        stand.will("hold")
        letter = msgspec.structs.replace(stand.letter(), timeout_s=0.5)
        began = time.monotonic()

        error = failure(stand.channel, letter)

        assert error.kind == "ambiguous"
        assert 0.4 < time.monotonic() - began < 3

    def test_a_receiver_that_hangs_up_may_have_taken_it(self, stand: Stand) -> None:
        stand.will("hang_up")

        assert failure(stand.channel, stand.letter()).kind == "ambiguous"

    def test_looking_for_a_letter_sends_nothing(self, stand: Stand) -> None:
        assert stand.channel.find(stand.letter(), FakeSending()) is None
        assert stand.arrived() == []

    def test_many_threads_share_a_channel(self, stand: Stand) -> None:
        letters = [stand.letter() for _ in range(24)]

        postings = [Posting(stand.channel, each) for each in letters]

        assert all(each.wait().receipt is not None for each in postings)
        assert sorted(stand.arrived()) == sorted(each.marker for each in letters)

    def test_no_error_repeats_what_is_private(self, stand: Stand) -> None:
        stand.will("reject", "overload", "hang_up")
        errors = [failure(stand.channel, stand.letter()) for _ in range(3)]
        errors.append(failure(stand.channel, stand.letter_to_nobody()))

        for error in errors:
            told = f"{error!r} {error.code} {error.__cause__!r} {error.__context__!r}"
            assert OUTSIDE not in told
            assert CANARY not in told
            assert "127.0.0.1" not in told
