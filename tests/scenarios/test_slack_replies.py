"""How a turn ends is told in its thread, once: failures, cancels, steering, pauses, deaths, and what stays unknown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.streams.thread_events import ObligationOpened, ObligationSettled
from tests.fakes.llm_scripts import Status
from tests.fakes.slack_faults import lost, refused
from tests.fakes.slack_requests import event_request, mention
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER, Message
from tests.scenarios.agent_session import Session
from tests.scenarios.cli_calls import Shell
from tests.scenarios.platform import TOKEN, Platform, Setup, installed_site, running_platform
from tests.scenarios.slack_talk import ENVIRONMENT, Talk

CONFIG = """
[agents.default]

[agents.thrifty]
max_tokens_per_hour = 1

[agents.eager]
policy = "steer"

[limits]
delivery_attempts = 2

[[routes]]
source = "slack"
events = ["mention", "reply"]
text = "thrifty"
agent = "thrifty"

[[routes]]
source = "slack"
events = ["mention", "reply"]
text = "eager"
agent = "eager"
"""


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, slack: SlackServer) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        config=CONFIG,
        workers=2,
        workers_may_die=True,
        environment={**ENVIRONMENT, "TURNWRIGHT_SLACK_API_URL": slack.api_url},
    )
    with running_platform(tmp_path_factory.mktemp("replies"), setup) as platform:
        yield platform


@pytest.fixture
def talk(platform: Platform, slack: SlackServer) -> Iterator[Talk]:
    platform.wait_ready(workers=2)
    yield Talk(platform, slack)
    slack.forget()


def called(talk: Talk, text: str, thread: Message | None = None) -> tuple[Message, Session]:
    """Somebody calls us, in a new thread or in that of `thread`; nothing is delivered yet."""
    thread_ts = thread.ts if thread else ""
    message = talk.slack.workspace.say(f"<@{BOT_USER}> {text}", thread_ts=thread_ts)
    return message, Session(talk.platform, id=talk.session(message))


def ends(session: Session) -> list[tuple[int, str, str]]:
    """How many inputs each end of obligations was of, how it was and why."""
    found = session.all("obligation.settled", ObligationSettled)
    return [(len(one.inputs), one.how, one.reason) for one in found]


def test_an_answer_in_the_thread_settles_what_was_owed(talk: Talk) -> None:
    message, session = called(talk, "hello")
    talk.deliver(event_request(mention(message)))

    session.wait("obligation.settled")

    assert ends(session) == [(1, "replied", "")]
    [opened] = session.all("obligation.opened", ObligationOpened)
    assert opened.reply_to == session.id
    assert len(talk.replies(message)) == 1


def test_calls_of_one_turn_from_one_thread_get_one_answer(talk: Talk) -> None:
    message, session = called(talk, "first of all")
    second, _ = called(talk, "and then", message)
    talk.deliver(event_request(mention(message)), event_request(mention(second)))

    session.wait_until(lambda found: sum(n for n, _, _ in ends(session)) == 2)

    assert len(talk.replies(message)) == len(session.turns())


def test_a_turn_that_failed_is_told(talk: Talk) -> None:
    message, session = called(talk, "fail, please")
    talk.platform.vendor.will(session.id, Status(status=401))
    talk.deliver(event_request(mention(message)))

    [reply] = talk.wait_replies(message)

    assert reply.startswith("I could not answer this. (")
    session.wait("obligation.settled")


def test_who_stops_a_turn_is_told_and_wants_nothing_more(talk: Talk) -> None:
    message, session = called(talk, "never mind")
    gate = talk.platform.vendor.hold(session.id)
    talk.deliver(event_request(mention(message)))
    gate.wait_entered()

    assert session.command("cancel") == 202

    [reply] = talk.wait_replies(message)
    assert reply.startswith("Stopped.")
    assert ends(session) == [(1, "ignored", "cancelled")]


def test_steering_hands_the_thread_on_to_one_answer(talk: Talk) -> None:
    message, session = called(talk, "eager: this")
    gate = talk.platform.vendor.hold(session.id)
    talk.deliver(event_request(mention(message)))
    gate.wait_entered()
    second, _ = called(talk, "eager: no, that", message)
    talk.deliver(event_request(mention(second)))

    [reply] = talk.wait_replies(message)

    assert "no, that" in reply
    session.wait_until(lambda found: ends(session) == [(2, "replied", "")])
    assert len(talk.replies(message)) == 1


def test_a_session_that_used_up_its_tokens_says_so_once_and_how_it_goes_on(talk: Talk) -> None:
    message, session = called(talk, "thrifty: one")
    talk.deliver(event_request(mention(message)))
    talk.wait_replies(message)
    second, _ = called(talk, "thrifty: two", message)
    talk.deliver(event_request(mention(second)))

    _, note = talk.wait_replies(message, 2)
    assert note.startswith("I am paused: what may be spent in an hour is used up.")
    assert f"`turnwright resume {session.id}`" in note

    assert session.command("resume") == 202
    *_, answer = talk.wait_replies(message, 3)
    assert "thrifty: two" in answer


def test_who_asks_while_the_session_is_paused_is_told_once_and_answered_afterwards(talk: Talk) -> None:
    message, session = called(talk, "begin")
    talk.deliver(event_request(mention(message)))
    talk.wait_replies(message)
    assert session.command("pause") == 202
    second, _ = called(talk, "are you there?", message)
    third, _ = called(talk, "hello?", message)
    talk.deliver(event_request(mention(second)), event_request(mention(third)))

    _, note = talk.wait_replies(message, 2)
    assert note == f"I am paused, so this waits. I go on after `turnwright resume {session.id}`."
    assert session.command("resume") == 202

    session.wait_until(lambda found: sum(n for n, _, _ in ends(session)) == 3, within_s=25)
    said = talk.replies(message)
    assert [text for text in said if "paused" in text] == [note]
    assert "hello?" in said[-1]


@pytest.mark.parametrize("point", ["advance.committed", "llm.settled", "deliver.claimed", "deliver.sent"])
def test_a_call_is_answered_once_whoever_dies_meanwhile(talk: Talk, point: str) -> None:
    message, session = called(talk, f"survive {point}")
    died = talk.platform.arm(point)
    talk.deliver(event_request(mention(message)))
    session.wait_until(lambda found: died(), within_s=20)
    talk.platform.wait_ready(workers=2)

    session.wait("obligation.settled", within_s=30)

    assert ends(session) == [(1, "replied", "")]
    assert len(talk.replies(message)) == 1


def test_a_prompt_over_http_reaches_the_thread_only_if_it_is_to_be_delivered(talk: Talk) -> None:
    message, session = called(talk, "begin")
    talk.deliver(event_request(mention(message)))
    talk.wait_replies(message)

    session.say("between us")
    session.settled(2)
    answer = talk.platform.http.post(
        "/api/prompts", json={"text": "for everybody", "session": session.id, "deliver": True}
    )

    assert answer.status_code == 202, answer.text
    _, told = talk.wait_replies(message, 2)
    assert "for everybody" in told
    session.wait_until(lambda found: len(ends(session)) == 2)


class TestDoubt:
    """An answer of which nobody can tell whether it arrived is shown, and never repeated blindly."""

    @pytest.fixture
    def doubtful(self, talk: Talk) -> tuple[Talk, Message, Session, str]:
        """An answer that arrived, whose receipt was lost, and that can not be looked for."""
        message, session = called(talk, "doubt this")
        talk.slack.will(lost(), method="chat.postMessage")
        talk.slack.will(*[refused("internal_error")] * 6, method="conversations.replies")
        talk.deliver(event_request(mention(message)))
        session.wait("reply.uncertain", within_s=40)
        talk.slack.forget()
        [entry] = self.listed(talk, session)
        return talk, message, session, entry

    def listed(self, talk: Talk, session: Session) -> list[str]:
        answer = talk.platform.http.get("/api/outbox", params={"state": "uncertain", "session": session.id})
        assert answer.status_code == 200, answer.text
        entries = answer.json()["entries"]
        assert all(each["address"] == session.id for each in entries)
        return [each["id"] for each in entries]

    def test_it_is_looked_for_when_a_person_replays_it(
        self, doubtful: tuple[Talk, Message, Session, str]
    ) -> None:
        talk, message, session, entry = doubtful
        assert ends(session) == [(1, "uncertain", "ambiguous")]
        [wait] = talk.platform.http.get(f"{session.path}/why").json()["replies"]
        assert wait["code"] == "uncertain"
        assert f"--replay {entry}" in wait["text"]

        answer = talk.platform.http.post(f"/api/outbox/{entry}/replay")

        assert answer.status_code == 202, answer.text
        session.wait("reply.delivered")
        assert len(talk.replies(message)) == 1
        assert talk.platform.http.get(f"{session.path}/why").json()["replies"] == []

    def test_the_command_line_shows_it_and_gives_it_up(
        self, doubtful: tuple[Talk, Message, Session, str]
    ) -> None:
        talk, _, session, entry = doubtful
        shell = Shell(
            home=talk.platform.home,
            variables={"TURNWRIGHT_URL": talk.platform.url, "TURNWRIGHT_API_TOKEN": TOKEN},
        )

        why = shell.run("why", session.id)
        listed = shell.run("outbox", "--state", "uncertain", "--session", session.id)
        discarded = shell.run("outbox", "--discard", entry)

        assert why.out.startswith("idle\nreply")
        assert "may have arrived, and nobody can tell" in why.out
        assert entry in listed.out
        assert (discarded.status, discarded.out) == (0, "discarded\n")
        assert entry not in shell.run("outbox", "--state", "uncertain").out

    def test_it_needs_nobodys_attention_once_it_is_discarded(
        self, doubtful: tuple[Talk, Message, Session, str]
    ) -> None:
        talk, message, session, entry = doubtful

        answer = talk.platform.http.post(f"/api/outbox/{entry}/discard")

        assert answer.status_code == 202, answer.text
        assert self.listed(talk, session) == []
        assert len(talk.replies(message)) == 1
