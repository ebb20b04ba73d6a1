"""Exactly one answer on GitHub: its parts in order, none of them twice, wherever an attempt ended."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import msgspec
import pytest

from services.channels.contract import DeliveryError, Letter, Receipt, Sending
from services.channels.github.channel import GitHubChannel
from services.channels.github.markers import Mark, mark_of, marked
from services.channels.github.parts import PARTS, parts_of
from tests.fakes.github_server import (
    BadGateway,
    Drop,
    Fault,
    GitHubServer,
    Hang,
    Lose,
    Refuse,
    Well,
    primary_limit,
    secondary_limit,
)
from tests.fakes.github_stand import GitHubStage
from tests.fakes.letters import FakeSending, Posting, failure

# Three parts.
LONG = "".join(f"{n} word word word word\n" for n in range(3 * GitHubStage.part_limit // 30))


@pytest.fixture
def stage() -> Iterator[GitHubStage]:
    with GitHubServer() as server:
        yield GitHubStage(server)


def repeat(letter: Letter) -> Letter:
    return msgspec.structs.replace(letter, is_repeat=True)


def delivered(channel: GitHubChannel, letter: Letter) -> Receipt:
    """One attempt as the outbox makes it: look first where an earlier one may have arrived."""
    sending = FakeSending()
    found = channel.find(letter, sending) if letter.is_repeat else None
    return found or channel.send(letter, sending)


def until_delivered(stage: GitHubStage, letter: Letter) -> int:
    """Attempts as the outbox makes them: after an unknown end the next one is a repeat. How many it took."""
    for attempt in range(1, 20):
        try:
            delivered(stage.channel, letter)
        except DeliveryError as error:
            stage.world.pass_time(error.retry_after_s or 0)
            letter = msgspec.structs.replace(letter, is_repeat=error.kind == "ambiguous")
        else:
            return attempt
    raise AssertionError("it never arrived")


def parts_there(stage: GitHubStage) -> list[int]:
    return [mark.part for mark in map(mark_of, stage.bodies()) if mark is not None]


def test_an_answer_is_one_comment_by_us_with_a_hidden_mark(stage: GitHubStage) -> None:
    letter = stage.letter("Hello, @ada.")

    receipt = stage.channel.send(letter, FakeSending())

    comment = stage.issue.comments[0]
    assert receipt.status == 201
    assert comment.login == "turnwright[bot]"
    assert comment.body == f"Hello, @\u200bada.\n\n<!-- turnwright:{letter.marker}:1/1 -->"


def test_who_asked_is_called(stage: GitHubStage) -> None:
    letter = stage.letter("Hello, @ada.")
    asked = msgspec.structs.replace(letter.input, author="ada")

    stage.channel.send(msgspec.structs.replace(letter, input=asked), FakeSending())

    assert stage.bodies()[0].startswith("Hello, @ada.\n")


def test_a_note_is_said_as_it_is(stage: GitHubStage) -> None:
    note = msgspec.structs.replace(stage.letter("unsaid"), note="Still working on this.")

    stage.channel.send(note, FakeSending())

    assert [body.splitlines()[0] for body in stage.bodies()] == ["Still working on this."]
    assert stage.channel.find(note, FakeSending()) is not None


def test_in_a_review_the_answer_goes_into_the_thread() -> None:
    with GitHubServer() as server:
        stage = GitHubStage(server)
        pull = stage.issue = stage.world.issue(stage.repository, is_pull=True)
        thread = stage.world.comment(pull, "@turnwright?", path="a.py")
        letter = stage.letter("Yes.", thread=thread)
        server.will(Lose(), ending="/replies")

        assert failure(stage.channel, letter).kind == "ambiguous"
        delivered(stage.channel, repeat(letter))

        assert pull.comments == []
        assert [each.reply_to for each in pull.review] == [0, thread.id]


@pytest.mark.parametrize("fault", [Lose(), BadGateway(works=True), BadGateway(), Drop()])
def test_after_an_unknown_end_it_is_looked_for_first(stage: GitHubStage, fault: Fault) -> None:
    stage.server.will(fault)

    assert until_delivered(stage, stage.letter()) == 2

    assert len(stage.bodies()) == 1


def test_a_long_answer_is_several_comments_in_order(stage: GitHubStage) -> None:
    letter = stage.letter(LONG)
    sending = FakeSending()

    stage.channel.send(letter, sending)

    assert [mark_of(each) for each in stage.bodies()] == [Mark(letter.marker, n, 3) for n in (1, 2, 3)]
    assert [each.split("\n\n<!--")[0] for each in stage.bodies()] == list(
        parts_of(LONG, limit=GitHubStage.part_limit)
    )
    # Each asks whether it may still begin.
    assert sending.starts == 3


def test_the_longest_answer_is_taken_by_github(stage: GitHubStage) -> None:
    channel = GitHubChannel(stage.api)

    channel.send(stage.letter("@word word\n" * 50_000), FakeSending())

    assert parts_there(stage) == list(range(1, PARTS + 1))


FAULTS: dict[str, Callable[[GitHubStage], Fault]] = {
    "lose": lambda stage: Lose(),
    "drop": lambda stage: Drop(),
    "502 before": lambda stage: BadGateway(),
    "502 after": lambda stage: BadGateway(works=True),
    "refuse": lambda stage: Refuse(status=403),
    "primary": lambda stage: primary_limit(stage.world, in_s=5),
    "secondary": lambda stage: secondary_limit(retry_after_s=5),
}


@pytest.mark.parametrize(("first", "second"), list(itertools.product(FAULTS, repeat=2)))
def test_no_part_is_missing_doubled_or_out_of_order(first: str, second: str) -> None:
    for at in range(3):
        with GitHubServer() as server:
            stage = GitHubStage(server)
            letter = stage.letter(LONG)
            server.will(*[Well()] * at, FAULTS[first](stage), FAULTS[second](stage))

            until_delivered(stage, letter)

            assert parts_there(stage) == [1, 2, 3], (first, second, at)


def test_once_a_part_is_there_whatever_fails_is_looked_into(stage: GitHubStage) -> None:
    stage.server.will(Well(), secondary_limit(retry_after_s=7))

    error = failure(stage.channel, stage.letter(LONG))

    assert (error.kind, error.code, error.retry_after_s) == ("ambiguous", "http_403", 7.0)


@pytest.mark.parametrize("there", [0, 1, 2, 3])
def test_who_takes_over_writes_what_is_missing(stage: GitHubStage, there: int) -> None:
    """As after a kill between any two parts: the thread alone tells how far it went."""
    letter = stage.letter(LONG)
    for number, text in enumerate(parts_of(LONG, limit=GitHubStage.part_limit)[:there], start=1):
        body = marked(text, Mark(letter.marker, number, 3))
        stage.world.comment(stage.issue, body, login="turnwright[bot]")

    delivered(stage.channel, repeat(letter))

    assert parts_there(stage) == [1, 2, 3]


@pytest.mark.parametrize("forger", ["mallory", "turnwright"])
def test_a_mark_in_a_comment_of_somebody_else_is_none(stage: GitHubStage, forger: str) -> None:
    letter = stage.letter()
    stage.world.comment(stage.issue, marked("forged", Mark(letter.marker, 1, 1)), login=forger)

    delivered(stage.channel, repeat(letter))

    assert [each.login for each in stage.issue.comments] == [forger, "turnwright[bot]"]


def test_a_mark_that_a_model_wrote_is_none(stage: GitHubStage) -> None:
    second = stage.letter()
    first = stage.letter(marked("```\n", Mark(second.marker, 1, 1)))

    delivered(stage.channel, first)
    delivered(stage.channel, repeat(second))

    assert len(stage.bodies()) == 2


def test_letters_of_others_are_not_taken_for_this_one(stage: GitHubStage) -> None:
    delivered(stage.channel, stage.letter())

    assert stage.channel.find(stage.letter(), FakeSending()) is None


def test_it_is_found_behind_hundreds_of_comments(stage: GitHubStage) -> None:
    for n in range(250):
        stage.world.comment(stage.issue, f"{n}")
    letter = stage.letter()
    stage.channel.send(letter, FakeSending())

    assert stage.channel.find(letter, FakeSending()) is not None


def test_comments_from_before_it_was_queued_are_not_read(stage: GitHubStage) -> None:
    now = stage.world.now()
    stage.world.now = lambda: now - 90_000
    for n in range(150):
        stage.world.comment(stage.issue, f"{n}")
    stage.world.now = lambda: now
    letter = msgspec.structs.replace(stage.letter(), queued_at=int(now * 1000))

    assert stage.channel.find(letter, FakeSending()) is None
    assert len(stage.server.to("GET", "/comments")) == 1


@pytest.mark.parametrize(
    "fault", [BadGateway(), Drop(), Refuse(status=403), secondary_limit(retry_after_s=5)]
)
def test_that_it_can_not_be_looked_for_tells_nothing(stage: GitHubStage, fault: Fault) -> None:
    stage.server.will(fault, method="GET")

    with pytest.raises(DeliveryError) as caught:
        stage.channel.find(stage.letter(), FakeSending())

    assert caught.value.kind == "ambiguous"


def test_looking_ends_before_the_attempt_does(stage: GitHubStage) -> None:
    stage.server.will(Hang(), method="GET")
    letter = stage.letter(timeout_s=0.5)

    with pytest.raises(DeliveryError) as caught:
        stage.channel.find(letter, FakeSending())

    assert (caught.value.kind, caught.value.code) == ("ambiguous", "timeout")


def test_a_look_can_be_stopped(stage: GitHubStage) -> None:
    class Looking:
        name, settle_ms = "github", 0

        def send(self, letter: Letter, sending: Sending) -> Receipt:
            return stage.channel.find(letter, sending) or Receipt()

        find = send

    stage.server.will(Hang(), method="GET")
    posting = Posting(Looking(), stage.letter())
    stage.server.wait_for(lambda server: bool(server.to("GET", "/app")))

    posting.sending.cancel()

    error = posting.wait(2).error
    assert error is not None
    assert error.kind == "cancelled"


def test_with_a_token_that_may_not_say_who_it_is_the_configured_name_counts() -> None:
    with GitHubServer() as server:
        stage = GitHubStage(server, as_app=False)
        channel = GitHubChannel(stage.api, login="turnwright")
        letter = stage.letter()
        channel.send(letter, FakeSending())
        server.will(Refuse(status=403), method="GET", ending="/user")

        assert channel.find(letter, FakeSending()) is not None


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        (lambda stage: setattr(stage.issue, "is_deleted", True), "gone", "http_410"),
        (lambda stage: stage.repository.issues.clear(), "gone", "http_404"),
        (lambda stage: setattr(stage.issue, "is_locked", True), "refused", "locked"),
        (lambda stage: setattr(stage.repository, "is_archived", True), "refused", "archived"),
        (lambda stage: setattr(stage.repository, "is_deleted", True), "gone", "http_404"),
        (
            lambda stage: stage.world.installations[stage.repository.installation].permissions.clear(),
            "rejected",
            "no_permission",
        ),
    ],
)
def test_where_nobody_can_write_it_ends_with_a_reason(
    stage: GitHubStage, change: Callable[[GitHubStage], None], kind: str, code: str
) -> None:
    change(stage)

    error = failure(stage.channel, stage.letter())

    assert (error.kind, error.code) == (kind, code)


@pytest.mark.parametrize("address", [None, "", "https://example.org/hook", "slack:T1:C1:1.2"])
def test_a_letter_to_nowhere_is_refused(stage: GitHubStage, address: str | None) -> None:
    letter = stage.letter()
    nowhere = msgspec.structs.replace(letter.input, reply_to=address)

    error = failure(stage.channel, msgspec.structs.replace(letter, input=nowhere))

    assert (error.kind, error.code) == ("refused", "no_such_thread")
