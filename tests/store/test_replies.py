"""Replies: owed when a turn ends, delivered once a receiver takes them, given up with a reason."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from services.channels.contract import DeliveryError, DeliveryErrorKind, Receipt
from services.jobs.outcome import Again, Lost, Settled
from services.outbox.replies import Replies, RepliesState
from services.streams.event import EventInput, JobId
from services.streams.keys import Keys
from services.streams.vocabulary import (
    DiscardRequested,
    InputWithdrawn,
    ReplayRequested,
    ReplyQueued,
)
from tests.fakes.desk import ONE, Desk, S
from tests.fakes.store_stage import Stage

TWO = "https://two.example/hook"
FIRST = JobId(f"{S}@r1")


MANY = 150


@pytest.fixture
def stage(store_url: str, keys: Keys) -> Iterator[Stage]:
    """A stage on which replies are owed."""
    made = Stage(store_url, keys, processors=[Replies()])
    yield made
    made.close()


@pytest.fixture
def desk(stage: Stage) -> Desk:
    """A session, its worker, its postman."""
    return Desk(stage)


class TestOwing:
    """What is owed, to whom, in which order."""

    def test_a_turn_that_nobody_wants_to_hear_of_owes_nothing(self, desk: Desk) -> None:
        desk.ask(None)

        assert desk.due() == set()

    def test_one_reply_goes_to_each_address_however_many_inputs_named_it(self, desk: Desk) -> None:
        inputs = [desk.hear(ONE), desk.hear(TWO), desk.hear(ONE)]
        desk.answer(*inputs)

        queued = [e.decode(ReplyQueued) for e in desk.stage.events(S) if e.type == "reply.queued"]
        assert [one.inputs for one in queued] == [(inputs[0], inputs[2]), (inputs[1],)]
        assert desk.due() == {"r1", "r2"}

    def test_more_addresses_than_one_commit_holds_are_all_told_in_order(self, desk: Desk) -> None:
        inputs = [desk.hear(f"{ONE}/{n}") for n in range(MANY)]
        desk.answer(*inputs)
        while S in desk.stage.due_ids("advance"):
            desk.hand.advancer.advance(S)

        queued = [e.decode(ReplyQueued).inputs for e in desk.stage.events(S) if e.type == "reply.queued"]
        assert queued == [(offset,) for offset in inputs]
        assert len(desk.due()) == MANY

    def test_a_withdrawn_input_wants_no_reply(self, desk: Desk) -> None:
        kept, gone = desk.hear(None), desk.hear(ONE)
        desk.tell(EventInput.of("input.withdrawn", InputWithdrawn(input=gone)))
        desk.answer(kept, gone)

        assert desk.due() == set()

    def test_an_address_is_told_in_order_and_another_one_does_not_wait(self, desk: Desk) -> None:
        desk.ask(ONE)
        desk.ask(ONE)
        desk.ask(TWO)
        assert desk.due() == {"r1", "r3"}

        desk.attempt(JobId(f"{S}@r1"))

        assert desk.due() == {"r2", "r3"}

    def test_no_address_is_kept_in_the_state_or_in_an_event_but_the_inputs_own(self, desk: Desk) -> None:
        desk.ask(ONE)
        desk.attempt()

        fields = desk.stage.log.load(S).fields
        others = [e.payload for e in desk.stage.events(S) if e.type != "input.received"]
        assert not any(b"one.example" in raw for raw in [*fields.values(), *map(bytes, others)])


class TestDelivering:
    """One attempt and its end."""

    def test_a_letter_says_what_the_turn_came_to(self, desk: Desk) -> None:
        desk.ask()
        desk.attempt()

        [letter] = desk.postman.letters
        assert (letter.turn.text, letter.input.callback, letter.is_repeat) == ("answer 1", ONE, False)
        assert desk.ends() == [("r1", "delivered", "")]

    @pytest.mark.parametrize("kind", ["not_sent", "rejected", "overloaded", "ambiguous"])
    def test_what_may_be_mended_is_tried_again_with_the_same_mark(self, desk: Desk, kind: str) -> None:
        desk.postman.answers = [DeliveryError(kind)]  # type: ignore[arg-type]  # one of the listed kinds
        desk.ask()
        desk.attempt()
        desk.attempt()

        assert len({letter.marker for letter in desk.postman.letters}) == 1
        assert desk.ends() == [("r1", "delivered", "")]

    def test_the_receiver_decides_when_to_be_asked_again(self, desk: Desk) -> None:
        desk.postman.answers = [DeliveryError("overloaded", code="http_503", retry_after_s=90)]
        desk.ask()

        result = desk.attempt()

        assert result == Again(error="overloaded", delay_ms=90_000, extra={"code": "http_503"})

    def test_a_limit_costs_nothing_however_often_it_is_met(self, desk: Desk) -> None:
        limit = DeliveryError("overloaded", code="ratelimited", retry_after_s=1, is_limit=True)
        desk.postman.answers = [limit] * 40
        desk.ask()

        for _ in range(41):
            desk.attempt()

        assert desk.ends() == [("r1", "delivered", "")]

    def test_a_death_after_many_waits_is_one_death(self, desk: Desk) -> None:
        desk.postman.answers = [DeliveryError("overloaded", retry_after_s=1, is_limit=True)] * 40
        desk.ask()
        for _ in range(40):
            desk.attempt()
        desk.hand.take_job("deliver", FIRST)

        desk.stage.relay.reap(desk.stage.keys.shard(S), "hand", proven=True)

        desk.hand = desk.stage.hand("successor")
        desk.stage.pass_time(5_001)
        desk.attempt()
        assert desk.ends() == [("r1", "delivered", "")]

    def test_after_an_unknown_end_the_letter_is_looked_for_first(self, desk: Desk) -> None:
        desk.postman.answers = [DeliveryError("ambiguous")]
        desk.postman.found = Receipt()
        desk.ask()
        desk.attempt()
        desk.attempt()

        assert (len(desk.postman.letters), len(desk.postman.looks)) == (1, 1)
        assert desk.ends() == [("r1", "delivered", "")]

    def test_after_the_death_of_its_holder_the_letter_is_looked_for_first(self, desk: Desk) -> None:
        desk.ask()
        desk.hand.take_job("deliver", FIRST)
        desk.stage.relay.reap(desk.stage.keys.shard(S), "hand", proven=True)
        desk.hand = desk.stage.hand("successor")

        desk.attempt()

        assert len(desk.postman.looks) == 1

    @pytest.mark.parametrize("kind", ["not_sent", "rejected", "overloaded", "ambiguous"])
    def test_a_look_that_fails_leaves_the_letter_to_be_looked_for(
        self, desk: Desk, kind: DeliveryErrorKind
    ) -> None:
        desk.postman.answers = [DeliveryError("ambiguous")]
        desk.postman.found = DeliveryError(kind)
        desk.ask()
        desk.attempt()
        desk.attempt()
        desk.postman.found = Receipt()
        desk.attempt()

        assert (len(desk.postman.letters), len(desk.postman.looks)) == (1, 2)
        assert desk.ends() == [("r1", "delivered", "")]

    @pytest.mark.parametrize("reason", ["deploy", "lease"])
    def test_a_look_that_is_stopped_leaves_the_letter_to_be_looked_for(self, desk: Desk, reason: str) -> None:
        desk.postman.answers = [DeliveryError("ambiguous")]
        desk.postman.found = DeliveryError("cancelled")
        desk.postman.on_look = lambda: desk.running.cancel_all(reason)
        desk.ask()
        desk.attempt()

        assert desk.attempt() == Again(error="ambiguous", free=True)

    def test_what_is_on_its_way_may_show_up_before_it_is_looked_for(self, desk: Desk) -> None:
        desk.postman.settle_ms = 5_000
        desk.postman.answers = [DeliveryError("ambiguous"), DeliveryError("rejected")]
        desk.ask()

        waits = [result.delay_ms for _ in range(2) if isinstance(result := desk.attempt(), Again)]

        assert waits[0] == 5_000
        assert waits[1] < 5_000

    def test_where_nobody_can_tell_the_end_stays_open_and_is_shown(self, stage: Stage) -> None:
        desk = Desk(stage, attempts=2)
        desk.postman.settle_ms = 5_000
        desk.postman.answers = [DeliveryError("ambiguous")]
        desk.postman.found = DeliveryError("ambiguous", code="no_access")
        desk.ask()
        desk.attempt()
        desk.attempt()

        assert len(desk.postman.letters) == 1
        assert desk.ends() == [("r1", "uncertain", "ambiguous")]

    def test_after_many_attempts_a_letter_is_given_up_and_the_next_one_goes_on(self, stage: Stage) -> None:
        desk = Desk(stage, attempts=3)
        desk.postman.answers = [DeliveryError("rejected", status=500)] * 3
        desk.ask()
        desk.ask()
        for _ in range(3):
            desk.attempt()

        assert desk.ends() == [("r1", "failed", "poisoned")]
        assert desk.due() == {"r2"}

    def test_what_must_not_be_sent_is_not_tried_again(self, desk: Desk) -> None:
        desk.postman.answers = [DeliveryError("refused", code="address_not_allowed")]
        desk.ask()
        desk.attempt()

        assert desk.ends() == [("r1", "failed", "address_not_allowed")]


class TestStopping:
    """A process that was stopped must not wake up and send."""

    def test_nothing_is_sent_near_the_end_of_the_lease(self, desk: Desk) -> None:
        desk.ask()
        desk.postman.before = lambda: setattr(desk, "boot_s", 41.0)

        result = desk.attempt()

        assert result == Again(error="lease", free=True)
        assert desk.postman.letters == []

    def test_nothing_is_sent_by_a_process_without_a_lease(self, desk: Desk) -> None:
        desk.ask()
        desk.may_start = False

        desk.attempt()

        assert desk.postman.letters == []

    def test_a_deploy_costs_no_attempt(self, desk: Desk) -> None:
        desk.ask()
        desk.postman.before = lambda: desk.running.cancel_all("deploy")

        assert desk.attempt() == Again(error="deploy", free=True)


class TestDeciding:
    """What the other side and people decide."""

    def test_a_destination_that_is_gone_is_not_asked_again(self, desk: Desk) -> None:
        desk.postman.answers = [DeliveryError("gone", status=410)]
        desk.ask(ONE)
        desk.ask(ONE)
        desk.ask(TWO)
        desk.attempt()
        desk.ask(ONE)

        assert desk.ends() == [("r1", "failed", "gone"), ("r2", "failed", "gone"), ("r4", "failed", "gone")]
        assert len(desk.postman.letters) == 1
        assert desk.due() == {"r3"}

    def test_a_persons_replay_is_a_new_entry_with_the_old_mark(self, desk: Desk) -> None:
        desk.postman.answers = [DeliveryError("gone", status=410)]
        desk.ask()
        desk.attempt()
        [old] = [e.decode(ReplyQueued) for e in desk.stage.events(S) if e.type == "reply.queued"]

        desk.tell(EventInput.of("reply.replay_requested", _replay_of(old)))
        desk.attempt(JobId(f"{S}@r2"))

        first, second = desk.postman.letters
        assert (first.marker, second.entry) == (second.marker, f"{S}@r2")
        assert desk.ends()[-1] == ("r2", "delivered", "")

    def test_what_a_person_replays_is_looked_for_first(self, stage: Stage) -> None:
        desk = Desk(stage, attempts=1)
        desk.postman.settle_ms = 5_000
        desk.postman.answers = [DeliveryError("ambiguous")]
        desk.ask()
        desk.attempt()
        [old] = [e.decode(ReplyQueued) for e in desk.stage.events(S) if e.type == "reply.queued"]
        desk.tell(EventInput.of("reply.replay_requested", _replay_of(old)))
        desk.postman.found = Receipt()
        desk.attempt(JobId(f"{S}@r2"))

        assert desk.ends() == [("r1", "uncertain", "ambiguous"), ("r2", "delivered", "")]
        assert (len(desk.postman.letters), len(desk.postman.looks)) == (1, 1)

    def test_a_replay_opens_a_destination_that_was_gone(self, desk: Desk) -> None:
        self.test_a_persons_replay_is_a_new_entry_with_the_old_mark(desk)

        desk.ask()

        assert desk.due() == {"r3"}

    def test_a_person_discards_what_waits_and_the_next_one_goes_on(self, desk: Desk) -> None:
        desk.ask()
        desk.ask()

        desk.tell(EventInput.of("reply.discard_requested", DiscardRequested(job=FIRST)))

        assert desk.ends() == [("r1", "failed", "discarded")]
        assert desk.due() == {"r2"}

    def test_a_person_discards_what_is_being_sent(self, desk: Desk) -> None:
        desk.ask()
        held, claim = desk.hand.take_job("deliver", FIRST)
        desk.tell(EventInput.of("reply.discard_requested", DiscardRequested(job=FIRST)))

        row = desk.hand.claims.look([FIRST])[FIRST]
        assert row is not None
        assert row.cancel
        desk.postman.before = lambda: desk.running.cancel_all("cancelled")
        result = desk.runner.run(held, claim)
        assert isinstance(result, Settled)
        assert result.events[-1].type == "reply.failed"

    def test_what_is_discarded_between_its_claim_and_its_holders_death_is_not_sent(self, desk: Desk) -> None:
        desk.ask()
        desk.hand.take_job("deliver", FIRST)
        desk.tell(EventInput.of("reply.discard_requested", DiscardRequested(job=FIRST)))
        desk.stage.relay.reap(desk.stage.keys.shard(S), "hand", proven=True)
        desk.hand = desk.stage.hand("successor")

        desk.attempt()

        assert desk.ends() == [("r1", "failed", "discarded")]
        assert desk.postman.letters == []

    def test_a_discard_that_a_short_attempt_did_not_hear_of_ends_the_entry(self, desk: Desk) -> None:
        discard = EventInput.of("reply.discard_requested", DiscardRequested(job=FIRST))
        desk.postman.before = lambda: desk.tell(discard)
        desk.postman.answers = [DeliveryError("rejected", status=500)]
        desk.ask()
        desk.attempt()

        desk.attempt()

        assert desk.ends() == [("r1", "failed", "discarded")]
        assert len(desk.postman.letters) == 1

    def test_discarding_what_is_not_there_changes_nothing(self, desk: Desk) -> None:
        desk.tell(EventInput.of("reply.discard_requested", DiscardRequested(job=f"{S}@r9")))

        assert desk.ends() == []


def test_what_is_held_by_somebody_else_is_left_alone(desk: Desk) -> None:
    desk.ask()
    desk.postman.before = lambda: desk.running.cancel_all("taken")

    held, claim = desk.hand.take_job("deliver", FIRST)

    assert desk.runner.run(held, claim) == Lost()


def test_receivers_that_take_nothing_stop_new_prompts_not_memory(desk: Desk) -> None:
    desk.ask()
    desk.ask()

    state = msgspec.json.decode(desk.stage.log.load(S).fields["s:replies"], type=RepliesState)
    assert Replies().waiting(state) == 2


def _replay_of(old: ReplyQueued) -> ReplayRequested:
    return ReplayRequested(
        job=old.job,
        origin=old.job,
        channel=old.channel,
        turn=old.turn,
        inputs=old.inputs,
        destination=old.destination,
    )
