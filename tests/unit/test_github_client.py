"""What GitHub's answers come to: one error for each, and nothing is sent where it does not belong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from services.channels.contract import DeliveryError
from services.channels.github.answers import Answer, failure_of
from services.channels.github.asks import Ask, next_page, path_of, redirected
from services.channels.github.within import Within
from tests.fakes.github_server import (
    BadGateway,
    Drop,
    Endless,
    Fault,
    Garbage,
    GitHubServer,
    Hang,
    Lose,
    Refuse,
    primary_limit,
    secondary_limit,
)
from tests.fakes.github_stand import GitHubStage, target_at, where
from tests.fakes.letters import FakeSending, Posting, failure

BASE = "https://api.github.example/api/v3"


@pytest.fixture
def stage() -> Iterator[GitHubStage]:
    with GitHubServer() as server:
        yield GitHubStage(server)


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Refuse(status=400), "refused", "http_400"),
        (Refuse(status=403), "rejected", "http_403"),
        (Refuse(status=404), "gone", "http_404"),
        (Refuse(status=410), "gone", "http_410"),
        (Refuse(status=422), "refused", "http_422"),
        (Refuse(status=418), "rejected", "http_418"),
        (Refuse(status=403, message="Repository was archived so is read-only."), "refused", "archived"),
        (Refuse(status=302, headers=(("location", "https://evil.example/x"),)), "rejected", "redirected"),
        (Refuse(status=307, headers=(("location", "http://[::1"),)), "rejected", "redirected"),
        (Refuse(status=301), "rejected", "redirected"),
        (Refuse(status=503), "ambiguous", "http_503"),
        (BadGateway(), "ambiguous", "http_502"),
        (BadGateway(works=True), "ambiguous", "http_502"),
        (Garbage(), "ambiguous", "malformed"),
        (Endless(), "ambiguous", "hung_up"),
        (Lose(), "ambiguous", "malformed"),
        (Drop(), "ambiguous", "malformed"),
    ],
)
def test_each_end_of_a_comment_is_one_error(stage: GitHubStage, fault: Fault, kind: str, code: str) -> None:
    stage.server.will(fault)

    error = failure(stage.channel, stage.letter())

    assert (error.kind, error.code) == (kind, code)


@pytest.mark.parametrize("status", [403, 429])
def test_rate_limits_say_when_they_end(stage: GitHubStage, status: int) -> None:
    errors = []
    for limit in ("primary", "secondary", "secondary without a time"):
        match limit:
            case "primary":
                fault = primary_limit(stage.world, in_s=90, status=status)
            case "secondary":
                fault = secondary_limit(retry_after_s=30, status=status)
            case _:
                fault = secondary_limit(retry_after_s=None, status=status)
        stage.server.will(fault)
        errors.append(failure(stage.channel, stage.letter()))
        stage.world.pass_time(100)

    assert [(each.kind, each.is_limit) for each in errors] == [("overloaded", True)] * 3
    waits = [each.retry_after_s or 0 for each in errors]
    assert 85 < waits[0] <= 91
    assert waits[1:] == [30.0, 60.0]
    assert stage.bodies() == []


def test_while_a_limit_lasts_nobody_asks_in_that_name(stage: GitHubStage) -> None:
    elsewhere = stage.world.repository("octo/other")
    other = target_at(elsewhere, stage.world.issue(elsewhere))
    stage.server.will(secondary_limit(retry_after_s=30))
    failure(stage.channel, stage.letter())
    before = len(stage.server.asked)

    error = failure(stage.channel, stage.letter())

    assert (error.kind, error.code, error.is_limit) == ("overloaded", "limited", True)
    assert 25 < (error.retry_after_s or 0) < 34
    assert len(stage.server.asked) == before
    # Another installation has limits of its own.
    assert stage.api.comment(other, "Hello", Within(5)).body == "Hello"


@pytest.mark.parametrize(
    ("headers", "retry_after_s"),
    [
        ({"retry-after": "soon"}, 60.0),
        ({"retry-after": "-5"}, 60.0),
        ({"retry-after": "9" * 10}, 86_400.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "nan"}, 60.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 1.0),
    ],
)
def test_limits_that_make_no_sense_are_bounded(headers: dict[str, str], retry_after_s: float) -> None:
    error = failure_of(Answer(status=429, headers=headers, body=b"["), is_write=True, now_s=1e9)

    assert error is not None
    assert error.retry_after_s == retry_after_s


@pytest.mark.parametrize(
    "words",
    [
        "API rate limit exceeded for installation ID 7.",
        "You have exceeded a secondary rate limit.",
        "You have triggered an abuse detection mechanism.",
    ],
)
def test_a_limit_whose_headers_were_lost_is_one_by_its_words(words: str) -> None:
    body = json.dumps({"message": words}).encode()

    error = failure_of(Answer(status=403, headers={}, body=body), is_write=True, now_s=1e9)

    assert error is not None
    assert (error.kind, error.is_limit, error.retry_after_s) == ("overloaded", True, 60.0)


def test_a_read_that_fails_sent_nothing_of_a_letter(stage: GitHubStage) -> None:
    for fault in (BadGateway(), Drop(), Garbage()):
        stage.server.will(fault, method="GET", ending="/octo/app")

        error = failure(stage.channel, stage.letter())

        assert error.kind == "not_sent"
    assert stage.bodies() == []


def test_a_cancel_frees_a_read_within_two_seconds(stage: GitHubStage) -> None:
    stage.server.will(Hang(), method="GET", ending="/octo/app")
    posting = Posting(stage.channel, stage.letter(timeout_s=60))
    stage.server.wait_for(lambda server: bool(server.to("GET", "/octo/app")))
    began = time.monotonic()

    posting.sending.cancel()

    error = posting.wait(2).error
    assert error is not None
    assert error.kind == "cancelled"
    assert time.monotonic() - began < 2


def test_everything_asked_for_one_letter_shares_its_time(stage: GitHubStage) -> None:
    stage.server.will(Hang(), method="GET", ending="/octo/app")
    began = time.monotonic()

    error = failure(stage.channel, stage.letter(timeout_s=0.5))

    assert (error.kind, error.code) == ("not_sent", "timeout")
    assert time.monotonic() - began < 3


def test_a_renamed_repository_is_written_to_under_its_new_name(stage: GitHubStage) -> None:
    letter = stage.letter()
    stage.world.rename(stage.repository, "octo/renamed")

    stage.channel.send(letter, FakeSending())

    assert len(stage.bodies()) == 1


def test_a_rename_that_just_happened_is_followed_for_posts_too(stage: GitHubStage) -> None:
    target = target_at(stage.repository, stage.issue)
    stage.world.rename(stage.repository, "octo/renamed")

    stage.api.comment(target, "Hello", Within(5))

    assert stage.bodies() == ["Hello"]
    assert [each.path for each in stage.server.to("POST", "/comments")] == [
        "/repos/octo/app/issues/1/comments",
        f"/repositories/{stage.repository.id}/issues/1/comments",
    ]


def test_nothing_is_said_to_whoever_took_an_old_name(stage: GitHubStage) -> None:
    letter = stage.letter()
    stage.world.rename(stage.repository, "octo/renamed")
    other = stage.world.repository("octo/app", installation=stage.repository.installation)
    theirs = stage.world.issue(other)

    stage.channel.send(letter, FakeSending())

    assert len(stage.bodies()) == 1
    assert theirs.comments == []


def test_a_deleted_repository_is_gone(stage: GitHubStage) -> None:
    stage.repository.is_deleted = True

    assert failure(stage.channel, stage.letter()).kind == "gone"


def test_pages_are_read_one_by_one_until_the_last(stage: GitHubStage) -> None:
    for n in range(250):
        stage.world.comment(stage.issue, f"{n}")

    found = list(stage.api.comments(target_at(stage.repository, stage.issue), Within(10)))

    assert [each.body for each in found] == [str(n) for n in range(250)]
    assert len(stage.server.to("GET", "/comments")) == 3


def test_more_pages_than_wanted_are_an_error_and_not_half_a_list(stage: GitHubStage) -> None:
    for n in range(250):
        stage.world.comment(stage.issue, f"{n}")

    with pytest.raises(DeliveryError) as caught:
        list(stage.api.comments(target_at(stage.repository, stage.issue), Within(10), pages=2))

    assert (caught.value.kind, caught.value.code) == ("not_sent", "too_many")


def test_an_issue_is_read_as_it_is(stage: GitHubStage) -> None:
    stage.world.comment(stage.issue, "me too")

    found = stage.api.issue(target_at(stage.repository, stage.issue), Within(5))

    assert (found.number, found.comments) == (1, 1)


def test_names_with_strange_letters_are_one_step_of_a_path() -> None:
    assert path_of(("repos", "a/../b", "é?#", 5)) == "/repos/a%2F..%2Fb/%C3%A9%3F%23/5"


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/api/v3/x",
        "http://api.github.example/api/v3/x",
        "https://api.github.example:444/api/v3/x",
        "https://user@api.github.example/api/v3/x",
        "https://api.github.example/elsewhere",
        "https://api.github.example/api/v3x",
        "//evil.example/api/v3/x",
        "http://[::1",
        "",
    ],
)
def test_no_answer_leads_to_another_place(location: str) -> None:
    led = redirected(Ask(path="/a"), location, base=BASE)

    assert led is None or led.path == "/a"


def test_a_page_keeps_to_the_api() -> None:
    link = f'<{BASE}/repositories/1/issues?page=3&since=x>; rel="next", <{BASE}/x?page=9>; rel="last"'

    found = next_page(Ask(path="/repos/a/b/issues"), link, base=BASE)

    assert found == Ask(path="/repositories/1/issues", query=(("page", "3"), ("since", "x")))
    assert next_page(Ask(path="/a"), '<https://evil.example/x>; rel="next"', base=BASE) is None
    assert next_page(Ask(path="/a"), "", base=BASE) is None
    assert next_page(Ask(path="/a"), "<" * 100_000, base=BASE) is None


def test_reactions_can_be_made_twice(stage: GitHubStage) -> None:
    target = target_at(stage.repository, stage.issue)
    comment = stage.world.comment(stage.issue, "hi")

    for _ in range(2):
        stage.api.react(target, "comment", comment.id, Within(5))
        stage.api.react(target, "issue", 0, Within(5))

    assert comment.reactions == stage.issue.reactions == {("turnwright[bot]", "eyes")}


def test_the_stand_in_refuses_what_github_does_not_have(stage: GitHubStage) -> None:
    client, token = stage.api.client, stage.api.tokens.of(stage.repository.installation)
    path = f"/repos/{stage.repository.name}/issues/1/comments"
    wrong = [
        Ask(path="/repos/octo/app/nothing"),
        Ask(path=path, query=(("per_page", "101"),)),
        Ask(path=path, query=(("sort", "created"),)),
        Ask(path=path, query=(("since", "yesterday"),)),
        Ask(method="POST", path=path, body=b'{"body": 1}'),
        Ask(method="POST", path=path, body=b'{"body": "x", "text": "y"}'),
        Ask(method="POST", path=path, body=b"{}"),
        Ask(method="POST", path=path, body=b'{"body": "' + b"x" * 65_537 + b'"}'),
        Ask(method="PUT", path=path),
    ]

    for each in wrong:
        with pytest.raises(DeliveryError):
            client.ask(each, token, Within(5))
        assert len(stage.server.take_mistakes()) == 1, each


def test_permissions_are_asked_by_login(stage: GitHubStage) -> None:
    stage.repository.roles["ada"] = "maintain"

    found = stage.api.permission(where(stage.repository), "ada", Within(5))

    assert (found.permission, found.role_name) == ("write", "maintain")
