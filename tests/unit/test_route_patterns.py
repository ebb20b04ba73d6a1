"""What routes say of names: * and ?, and of GitHub's names nothing of upper and lower case."""

from __future__ import annotations

import pytest

from services.config import AgentConfig, RouteConfig
from services.inbound.contract import Ignored
from services.inbound.rules import Rules, Subject
from services.streams.event import StreamId


def rules(*routes: RouteConfig, folds: bool = True) -> Rules:
    agents = {"default": AgentConfig()}
    return Rules("github", routes, agents, usual=frozenset({"mention"}), folds=folds)


def subject(author: str, *, place: str = "Octo/App") -> Subject:
    return Subject(
        event="mention", place=place, thread=StreamId("github:1:1"), author=author, is_bot="[" in author
    )


def is_taken(route: RouteConfig, author: str, *, folds: bool = True) -> bool:
    ignoring = route.model_copy(update={"ignore": True})
    return rules(ignoring, folds=folds).order(subject(author)) == Ignored("route_says_ignore")


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("renovate[bot]", "renovate[bot]", "renovateb"),
        ("*[bot]", "renovate[bot]", "renovate"),
        ("a?a", "ada", "adda"),
        ("a.a", "a.a", "ada"),
        ("[!x]", "[!x]", "y"),
    ],
)
def test_only_two_signs_mean_more_than_themselves(pattern: str, fits: str, does_not: str) -> None:
    route = RouteConfig(source="github", authors=(pattern,))

    assert is_taken(route, fits)
    assert not is_taken(route, does_not)


def test_names_on_github_are_the_same_in_upper_and_lower_case() -> None:
    route = RouteConfig(source="github", authors=("ADA",), places=("octo/*",))

    assert is_taken(route, "ada")
    assert not is_taken(route, "ada", folds=False)


def test_only_a_whole_name_vouches_for_an_author() -> None:
    by_name = rules(RouteConfig(source="github", authors=("*", "Helper[bot]"), bots=True))
    by_pattern = rules(RouteConfig(source="github", authors=("help*",), bots=True))

    assert by_name.names_author(subject("helper[bot]"))
    assert not by_name.names_author(subject("other[bot]"))
    assert not by_pattern.names_author(subject("helper[bot]"))
    assert not rules().names_author(subject("helper[bot]"))
