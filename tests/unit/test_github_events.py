"""What a webhook of GitHub tells: where it belongs, who says what, whom they call; and that none of it can hurt."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.channels.github.events import KINDS, Inbound, read
from services.channels.github.markers import Mark, marked
from services.channels.github.target import BadAddress, target_of, target_where
from tests.fakes.github_fixtures import FOLDER
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_world import Delivered, World

GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
LOGIN = "turnwright"


@cache
def examples() -> dict[str, list[dict[str, Any]]]:
    """GitHub's own examples by event."""
    packed = (FOLDER / "webhooks.json.xz").read_bytes()
    found: dict[str, list[dict[str, Any]]] = json.loads(lzma.decompress(packed))["events"]
    return found


def all_examples() -> Iterator[tuple[str, dict[str, Any]]]:
    for event, payloads in examples().items():
        yield from ((event, each) for each in payloads)


def inbound(delivered: Delivered, *, login: str = LOGIN) -> Inbound:
    found = read(delivered.event, delivered.guid, json.dumps(delivered.payload).encode(), login=login)
    assert isinstance(found, Inbound), found
    return found


class Stage:
    """A repository with an issue and a pull request, and GitHub telling nobody about it."""

    def __init__(self) -> None:
        self.world = World()
        self.hooks = Hooks(self.world)
        self.repository = self.world.repository("octo/app")
        self.issue = self.world.issue(self.repository, body="It is broken, @turnwright.")
        self.pull = self.world.issue(self.repository, is_pull=True)

    def comment(self, body: str, *, login: str = "ada", **more: Any) -> Inbound:
        said = self.world.comment(self.issue, body, login=login)
        return inbound(self.hooks.issue_comment(self.repository, self.issue, said, **more))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_every_example_of_githubs_is_read() -> None:
    seen = 0
    for event, payload in all_examples():
        found = read(event, GUID, json.dumps(payload).encode(), login=LOGIN)
        assert isinstance(found, Inbound), (event, payload.get("action"), found)
        repository, installation = payload.get("repository"), payload.get("installation")
        if repository:
            assert found.stream == f"inbound:github:{repository['id']}"
        elif installation:
            assert found.stream == f"inbound:github:installation:{installation['id']}"
        else:
            assert found.stream == "inbound:github:app"
        seen += 1
    assert seen == 329


@pytest.mark.parametrize("event", sorted(KINDS.keys() - {"ping", "installation"}))
def test_what_happens_in_a_thread_belongs_to_its_session(event: str) -> None:
    for payload in examples()[event]:
        found = read(event, GUID, json.dumps(payload).encode(), login=LOGIN)
        assert isinstance(found, Inbound)
        number = (payload.get("issue") or payload["pull_request"])["number"]
        assert found.session == f"github:{payload['repository']['id']}:{number}"
        assert found.actor is not None
        assert found.actor.login == payload["sender"]["login"]


def test_every_delivery_of_an_event_has_one_key(stage: Stage) -> None:
    said = stage.world.comment(stage.issue, "Hello")
    first = stage.hooks.issue_comment(stage.repository, stage.issue, said)

    again = stage.hooks.redeliver(first)

    assert inbound(first).key == inbound(again).key == f"github:{first.guid}"


def test_whatever_happens_to_one_text_has_one_key_too(stage: Stage) -> None:
    said = stage.world.comment(stage.issue, "Hello")
    told = [
        inbound(stage.hooks.issue_comment(stage.repository, stage.issue, said, action=action))
        for action in ("created", "edited", "deleted")
    ]
    other = inbound(stage.hooks.issues(stage.repository, stage.issue))

    assert len({each.said_key for each in told}) == 1
    assert len({each.key for each in told}) == 3
    assert other.said_key == f"github:{stage.repository.id}:thread:1"


def test_a_comment_that_calls_us_is_a_mention(stage: Stage) -> None:
    found = stage.comment("Please, @Turnwright")

    assert (found.trigger, found.calls, found.is_own) == ("mention", True, False)
    assert found.text == "Please, @Turnwright"
    assert found.author is not None
    assert found.author.login == "ada"
    assert found.installation == stage.repository.installation


def test_a_comment_that_does_not_is_none(stage: Stage) -> None:
    assert stage.comment("`@turnwright`").trigger == ""


def test_an_edit_calls_when_the_text_before_did_not(stage: Stage) -> None:
    assert stage.comment("@turnwright", action="edited", before="hm").trigger == "mention"
    assert stage.comment("@turnwright now", action="edited", before="@turnwright").trigger == ""
    assert stage.comment("@turnwright", action="edited").trigger == ""


def test_a_deleted_comment_calls_nobody(stage: Stage) -> None:
    found = stage.comment("@turnwright", action="deleted")

    assert (found.action, found.trigger, found.calls) == ("deleted", "", True)


def test_whoever_edits_a_strangers_words_is_not_their_author(stage: Stage) -> None:
    said = stage.world.comment(stage.issue, "@turnwright", login="mallory")
    edited = inbound(
        stage.hooks.issue_comment(
            stage.repository, stage.issue, said, action="edited", login="ada", before=""
        )
    )

    assert edited.actor is not None
    assert edited.author is not None
    assert (edited.actor.login, edited.author.login) == ("ada", "mallory")


def test_what_we_wrote_is_ours(stage: Stage) -> None:
    assert stage.comment("@turnwright", login="turnwright[bot]").is_own
    assert stage.comment("@turnwright", login="TurnWright").is_own
    assert stage.comment(marked("@turnwright", Mark("reply_00", 1, 1))).is_own
    assert not stage.comment(marked("x", Mark("reply_00", 1, 1)) + "\n@turnwright").is_own


def test_other_apps_are_told_from_people(stage: Stage) -> None:
    bot, person = stage.comment("hi", login="dependabot[bot]").author, stage.comment("hi").author

    assert bot is not None
    assert person is not None
    assert (bot.is_bot, person.is_bot) == (True, False)


def test_an_opened_issue_may_call_us(stage: Stage) -> None:
    found = inbound(stage.hooks.issues(stage.repository, stage.issue))

    assert (found.trigger, found.said, found.is_pull, found.title) == ("mention", 0, False, "Number 1")


def test_an_assignment_counts_when_it_is_to_us(stage: Stage) -> None:
    def assigned(to: str) -> str:
        hooks = stage.hooks
        return inbound(
            hooks.issues(stage.repository, stage.issue, action="assigned", login="bob", assignee=to)
        ).trigger

    assert assigned("turnwright[bot]") == "assigned"
    assert assigned("bob") == ""


def test_a_label_is_named_and_is_its_givers_doing(stage: Stage) -> None:
    found = inbound(
        stage.hooks.issues(stage.repository, stage.issue, action="labeled", login="bob", label="agent")
    )

    assert (found.trigger, found.label, found.is_own) == ("labeled", "agent", False)
    assert found.actor is not None
    assert found.actor.login == "bob"


def test_a_review_that_is_asked_of_us_counts(stage: Stage) -> None:
    found = inbound(
        stage.hooks.pull_request(
            stage.repository, stage.pull, action="review_requested", requested_reviewer="turnwright"
        )
    )

    assert (found.trigger, found.is_pull) == ("review_requested", True)


def test_a_comment_on_a_line_is_answered_in_its_thread(stage: Stage) -> None:
    first = stage.world.comment(stage.pull, "hm", path="a.py")
    second = stage.world.comment(stage.pull, "@turnwright?", path="a.py", reply_to=first.id)

    found = inbound(stage.hooks.review_comment(stage.repository, stage.pull, second))

    assert (found.thread, found.said, found.path) == (first.id, second.id, "a.py")
    assert found.session == f"github:{stage.repository.id}:{stage.pull.number}"


def test_a_review_calls_us_and_belongs_to_no_thread(stage: Stage) -> None:
    found = inbound(stage.hooks.review(stage.repository, stage.pull, "@turnwright fix it"))

    assert (found.trigger, found.thread) == ("mention", 0)


def test_ping_and_installation_have_streams_of_their_own(stage: Stage) -> None:
    assert inbound(stage.hooks.ping()).stream == "inbound:github:app"
    assert inbound(stage.hooks.installation(5)).stream == "inbound:github:installation:5"


def test_a_place_survives_being_written_down(stage: Stage) -> None:
    first = stage.world.comment(stage.pull, "hm", path="a.py")
    found = inbound(stage.hooks.review_comment(stage.repository, stage.pull, first))

    target = target_where(found, seen_ms=17)

    assert target_of(target.address, seen_ms=17) == target
    assert target.session == found.session
    with pytest.raises(BadAddress):
        target_where(inbound(stage.hooks.ping()), seen_ms=17)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://example.org",
        "github:1:2",
        "github:0:2?repository=a/b",
        "github:1:2?repository=a",
        "github:1:2?repository=../b",
        "github:1:2?repository=a/b/c",
        "github:1:2?repository=a/b&thread=x",
        "github:1:2?repository=a/b%3Fx",
        "github:1:99999999999999999999?repository=a/b",
        "github:\u0661:2?repository=a/b",
    ],
)
def test_a_place_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(BadAddress):
        target_of(address)


@pytest.mark.parametrize(
    ("event", "guid", "body", "reason"),
    [
        ("", GUID, b"{}", "bad_event"),
        ("Issues", GUID, b"{}", "bad_event"),
        ("issues\n", GUID, b"{}", "bad_event"),
        ("x" * 65, GUID, b"{}", "bad_event"),
        ("push", "", b"{}", "bad_guid"),
        ("push", "a b", b"{}", "bad_guid"),
        ("push", "x" * 101, b"{}", "bad_guid"),
        ("push", GUID, b"", "not_json"),
        ("push", GUID, b"\xff\xfe", "not_json"),
        ("push", GUID, b'{"a": "\xff"}', "not_json"),
        ("push", GUID, b"[" * 100_000, "malformed"),
        ("push", GUID, b'{"a":' * 100_000, "not_json"),
        ("push", GUID, b"payload=%7B%7D", "form_encoded"),
        ("push", GUID, b"[]", "malformed"),
        ("push", GUID, b"null", "malformed"),
        ("issues", GUID, b'{"repository": {"id": "1", "full_name": "a/b"}}', "malformed"),
        ("issues", GUID, b'{"repository": {"id": true, "full_name": "a/b"}}', "malformed"),
        ("issues", GUID, b'{"repository": {"id": -1, "full_name": "a/b"}}', "malformed"),
        ("issues", GUID, b'{"repository": {"id": 1e400, "full_name": "a/b"}}', "malformed"),
        ("issues", GUID, b'{"repository": {"id": 99999999999999999999, "full_name": "a/b"}}', "malformed"),
        ("issues", GUID, b"{}", "incomplete"),
        ("issue_comment", GUID, b'{"action": "created"}', "incomplete"),
    ],
)
def test_what_can_not_be_read_gets_a_reason(event: str, guid: str, body: bytes, reason: str) -> None:
    assert read(event, guid, body, login=LOGIN) == reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(data=st.data())
def test_no_example_with_anything_put_in_anywhere_raises(data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(sorted(KINDS)))
    payload = json.loads(json.dumps(data.draw(st.sampled_from(examples()[event]))))
    place: Any = payload
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(JSON)

    found = read(event, GUID, json.dumps(payload).encode(), login=LOGIN)

    assert isinstance(found, str) or msgspec.json.encode(found)


@given(event=st.text(), guid=st.text(), body=st.binary())
def test_no_request_whatever_it_holds_raises(event: str, guid: str, body: bytes) -> None:
    read(event, guid, body, login=LOGIN)
    read("issues", GUID, body, login=LOGIN)
