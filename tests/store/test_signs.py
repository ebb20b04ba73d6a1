"""A sign that a turn runs is taken back, whoever dies and however often Slack will not have it; or given up visibly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.channels.contract import Sending
from services.channels.ends import LONGEST_S, MOST_AGE_MS
from services.channels.shown import LOOK_S, SHOWING_S
from services.channels.signs import Turn
from services.channels.working import Working
from services.diagnosis.checkup import check_signs
from services.streams.event import EventInput
from services.streams.vocabulary import LLMCancelRequested, ReplySettled, ToolRequested, TurnSettled
from tests.fakes.sign_stage import ADD, NEVER_S, REMOVE, SignStage, Written
from tests.fakes.slack_faults import bad_gateway, dropped, limited, lost, refused
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import Message
from tests.fakes.store_stage import Stage
from tests.worker.waiting import wait_until


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def town(stage: Stage, slack: SlackServer) -> SignStage:
    return SignStage(stage, slack)


@pytest.fixture
def asked(slack: SlackServer) -> Message:
    return slack.workspace.say("<@U0TURNWRI> tell me")


def test_it_goes_with_the_answer_and_nobody_looks_after_it_any_more(town: SignStage, asked: Message) -> None:
    town.show(asked)
    assert town.is_known(asked)

    town.answer(asked)

    assert not town.is_shown(asked)
    assert not town.is_known(asked)


def test_an_end_is_tried_again_while_its_answer_is_delivered(
    town: SignStage, asked: Message, slack: SlackServer
) -> None:
    town.show(asked)
    slack.will(bad_gateway(does=False), dropped(), method=REMOVE)

    town.answer(asked)

    assert not town.is_shown(asked)
    assert not town.is_known(asked)


def test_an_end_that_fails_five_times_is_tried_again_later_until_it_is_done(
    stage: Stage, town: SignStage, asked: Message, slack: SlackServer
) -> None:
    town.show(asked)
    slack.will(*[bad_gateway(does=False)] * 5, method=REMOVE)

    town.answer(asked)
    assert town.is_shown(asked)
    assert [found.part for found in check_signs(stage.store, stage.keys)] == ["signs"]
    town.later(2)
    town.later(4)
    assert town.is_shown(asked)
    town.later(8)

    assert not town.is_shown(asked)
    assert not town.is_known(asked)
    assert list(check_signs(stage.store, stage.keys)) == []
    assert town.left == []


def test_the_sign_of_a_worker_that_died_is_taken_back_by_another(town: SignStage, asked: Message) -> None:
    town.show(asked)
    town.settle(asked)

    town.later(LOOK_S)

    assert not town.is_shown(asked)
    assert not town.is_known(asked)


def test_a_sign_of_which_nobody_knows_whether_it_is_shown_is_taken_back(
    town: SignStage, asked: Message, slack: SlackServer
) -> None:
    slack.will(lost(), method=ADD)
    with town.worker() as working:
        working.committed(town.begin(asked))
        wait_until(lambda: town.is_shown(asked))

    town.settle(asked)
    town.later(SHOWING_S)

    assert not town.is_shown(asked)
    assert not town.is_known(asked)


def test_an_answer_that_overtakes_its_sign_leaves_somebody_to_look_after_it(
    town: SignStage, asked: Message, slack: SlackServer
) -> None:
    slack.will(lost(), method=ADD)
    with town.worker() as working:
        working.committed(town.begin(asked))
        wait_until(lambda: town.is_shown(asked))
    town.answer(asked)
    asked.reactions["eyes"] = {"U0TURNWRI"}

    town.later(SHOWING_S)

    assert not town.is_shown(asked)
    assert not town.is_known(asked)


def test_the_sign_of_a_turn_that_still_runs_stays(town: SignStage, asked: Message) -> None:
    town.show(asked)

    for _ in range(3):
        town.later(LOOK_S)

    assert town.is_shown(asked)
    town.answer(asked)
    assert not town.is_known(asked)


def test_the_sign_of_a_turn_with_many_steps_stays(town: SignStage, asked: Message) -> None:
    town.show(asked)
    session = town.session(asked)
    step = EventInput.of("llm.cancel_requested", LLMCancelRequested(job="x", deadline=1, then="cancelled"))
    for _ in range(3):
        town.stage.log.append(session, [step] * 100)

    town.later(LOOK_S)

    assert town.is_shown(asked)


def test_what_waits_and_is_cancelled_is_no_end_of_the_turn_that_runs(town: SignStage, asked: Message) -> None:
    town.show(asked)
    unsent = TurnSettled(turn=2, outcome="cancelled", inputs=(2,), reason="queued")
    town.stage.log.append(town.session(asked), [EventInput.of("turn.settled", unsent)])

    town.later(LOOK_S)

    assert town.is_shown(asked)


def test_what_slack_asks_for_is_waited_for(town: SignStage, asked: Message, slack: SlackServer) -> None:
    town.show(asked)
    slack.will(limited(1), method=REMOVE)
    town.answer(asked)

    town.later(0.4)
    calls = len(slack.of(REMOVE))
    wait_until(lambda: _done(town, asked, by_s=2))

    assert calls == 1
    assert not town.is_known(asked)


def _done(town: SignStage, asked: Message, *, by_s: float) -> bool:
    town.later(by_s)
    return not town.is_shown(asked)


def test_a_sign_that_never_can_be_taken_back_is_given_up_visibly(
    town: SignStage, asked: Message, slack: SlackServer
) -> None:
    town.show(asked)
    slack.will(*[refused("missing_scope")] * 200, method=REMOVE)
    town.answer(asked)

    for _ in range(int(MOST_AGE_MS / 1000 / LONGEST_S) + 20):
        town.later(LONGEST_S)

    assert [(channel, code) for _, channel, code in town.left] == [("slack", "missing_scope")]
    assert not town.is_known(asked)


def test_where_nothing_may_be_shown_nothing_is_looked_after(
    town: SignStage, asked: Message, slack: SlackServer
) -> None:
    slack.will(refused("missing_scope"), method=ADD)
    with town.worker() as working:
        working.committed(town.begin(asked))
        wait_until(lambda: bool(slack.of(ADD)) and not town.is_known(asked))


def test_a_sign_whose_answer_could_not_be_delivered_goes_too(
    town: SignStage, asked: Message, slack: SlackServer
) -> None:
    town.show(asked)
    town.settle(asked)
    slack.will(dropped(), method=REMOVE)

    with town.worker() as working:
        working.committed(town.failed(asked))
        wait_until(lambda: town.shown.failing() == 1)
    town.later(2)

    assert not town.is_shown(asked)
    assert not town.is_known(asked)


def test_two_turns_of_one_thread_have_signs_of_their_own(
    town: SignStage, asked: Message, slack: SlackServer
) -> None:
    town.show(asked)
    slack.will(*[bad_gateway(does=False)] * 3, method=REMOVE)
    town.answer(asked)
    more = slack.workspace.say("and more", thread_ts=asked.ts)
    with town.worker() as working:
        working.committed(town.begin(more))
        wait_until(lambda: town.is_shown(more))

    town.later(2)

    assert not town.is_shown(asked)
    assert town.is_shown(more)


def test_what_is_posted_meanwhile_leaves_the_turn_that_runs_shown(
    town: SignStage, asked: Message, slack: SlackServer
) -> None:
    town.show(asked)
    posted = EventInput.of("reply.delivered", ReplySettled(job="r"))
    asked.reactions.clear()

    with town.worker() as working:
        working.committed(Written(town.session(asked), [posted]))
        wait_until(lambda: town.is_shown(asked))


class Slow:
    """Signs of a channel that shows only what takes long, and then every step of it."""

    after_s, follows = 20.0, True

    def __init__(self) -> None:
        self.did: list[tuple[str, str]] = []

    def name(self, turn: Turn) -> str:
        return turn.session

    def show(self, turn: Turn, sending: Sending, *, timeout_s: float) -> None:
        self.did.append(("show", turn.session))

    def end(self, turn: Turn, sending: Sending, *, timeout_s: float) -> None:
        self.did.append(("end", turn.session))


def test_a_step_of_a_turn_is_no_reason_to_show_it_sooner(
    town: SignStage, asked: Message, slack: SlackServer
) -> None:
    signs, now = Slow(), [0.0]
    working = Working(town.stage.log, {"slack:": signs}, town.ends, clock=lambda: now[0], poll_s=NEVER_S)
    other = slack.workspace.say("<@U0TURNWRI> and me")
    town.begin(other)
    town.settle(other)
    working.committed(town.begin(asked))
    step = ToolRequested(turn=1, job="t", call="c", name="clock", arguments="{}")
    working.committed(Written(town.session(asked), [EventInput.of("tool.requested", step)]))
    now[0] = 10.0

    working.start()
    working.committed(town.failed(other))
    wait_until(lambda: bool(signs.did))
    working.stop()

    assert signs.did == [("end", town.session(other))]
