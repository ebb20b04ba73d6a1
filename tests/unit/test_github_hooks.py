"""The stand-in tells what happens as GitHub does: signed, under a GUID that redelivery keeps."""

from __future__ import annotations

import json

from services.channels.github.signature import refusal_of
from services.variables import Secret
from tests.fakes.callback_server import CallbackServer, Status
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_world import World

SECRET = "it's a secret to everybody"


def test_a_webhook_is_signed_and_names_its_event() -> None:
    world = World()
    where = world.repository()
    issue = world.issue(where)
    with CallbackServer() as server:
        server.will(Status(status=200))
        told = Hooks(world, secret=SECRET, url=f"{server.url}/webhooks/github").issues(where, issue)

        [got] = server.received
        assert told.status == 200
        assert refusal_of([Secret(SECRET)], got.headers, got.body) is None
        assert got.headers["x-github-event"] == "issues"
        assert got.headers["x-github-delivery"] == told.guid
        assert got.headers["x-github-hook-installation-target-type"] == "integration"
        assert json.loads(got.body)["installation"]["id"] == where.installation


def test_a_redelivery_has_the_same_guid_and_body() -> None:
    world = World()
    with CallbackServer() as server:
        hooks = Hooks(world, url=server.url)
        first = hooks.ping()

        again = hooks.redeliver(first)

        assert again.guid == first.guid
        assert (again.is_redelivery, first.is_redelivery) == (True, False)
        assert server.received[0].body == server.received[1].body
        assert [each.guid for each in world.delivered] == [first.guid, first.guid]


def test_what_reaches_nobody_is_in_the_log_of_deliveries() -> None:
    world = World()

    told = Hooks(world).installation(5)

    assert told.status == 0
    assert world.delivered == [told]
