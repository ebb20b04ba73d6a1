"""Tokens are got once for all threads, renewed in time, and shown to nobody."""

from __future__ import annotations

import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator

import pytest

from services.channels.contract import DeliveryError
from services.channels.github.access import api_for
from services.channels.github.channel import GitHubChannel
from services.channels.github.tokens import AppName, AppTokens, PlainToken
from services.channels.github.within import Within
from services.errors import ConfigurationError
from services.variables import Secret
from tests.fakes.github_server import BadGateway, GitHubServer, Hang, Refuse, primary_limit, secondary_limit
from tests.fakes.github_stand import GitHubStage
from tests.fakes.github_world import app_key_pem
from tests.fakes.letters import FakeSending
from tests.worker.waiting import wait_until

MINT = "/access_tokens"


@pytest.fixture
def stage() -> Iterator[GitHubStage]:
    with GitHubServer() as server:
        yield GitHubStage(server)


def ask(stage: GitHubStage) -> None:
    stage.channel.send(stage.letter(), FakeSending())


def test_one_token_serves_until_ten_minutes_before_its_end(stage: GitHubStage) -> None:
    ask(stage)
    stage.world.pass_time(49 * 60)
    ask(stage)
    assert stage.world.minted == 1
    stage.world.pass_time(2 * 60)
    ask(stage)

    assert stage.world.minted == 2


def test_many_threads_get_one_token(stage: GitHubStage) -> None:
    gate = Hang()
    stage.server.will(gate, ending=MINT)
    threads = [threading.Thread(target=ask, args=(stage,)) for _ in range(12)]
    for each in threads:
        each.start()
    stage.server.wait_for(lambda server: len(server.to("POST", MINT)) == 1)

    gate.opened.set()
    for each in threads:
        each.join(10)

    assert len(stage.bodies()) == 12
    assert stage.world.minted == 1


def test_a_revoked_token_is_renewed_once_for_all(stage: GitHubStage) -> None:
    ask(stage)
    stage.world.revoke_all()
    threads = [threading.Thread(target=ask, args=(stage,)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)

    assert len(stage.bodies()) == 9
    assert stage.world.minted == 2


def test_a_second_refusal_is_a_no() -> None:
    with GitHubServer() as server:
        stage = GitHubStage(server, as_app=False)
        stage.world.revoke_all()

        with pytest.raises(DeliveryError) as caught:
            ask(stage)

        assert (caught.value.kind, caught.value.code) == ("rejected", "bad_credentials")
        assert stage.bodies() == []


def test_a_token_that_can_not_be_had_sends_nothing(stage: GitHubStage) -> None:
    stage.server.will(BadGateway(), ending=MINT)

    with pytest.raises(DeliveryError) as caught:
        ask(stage)

    assert (caught.value.kind, caught.value.code) == ("not_sent", "no_token")
    ask(stage)
    assert len(stage.bodies()) == 1


def test_a_limit_on_tokens_says_when_to_come_back(stage: GitHubStage) -> None:
    stage.server.will(secondary_limit(retry_after_s=9), ending=MINT)

    with pytest.raises(DeliveryError) as caught:
        ask(stage)

    assert (caught.value.kind, caught.value.retry_after_s) == ("overloaded", 9.0)


def test_where_the_app_was_taken_away_nobody_is(stage: GitHubStage) -> None:
    stage.world.installations[stage.repository.installation].is_gone = True

    with pytest.raises(DeliveryError) as caught:
        ask(stage)

    assert (caught.value.kind, caught.value.code) == ("gone", "installation_gone")


def test_a_suspended_app_is_told_so(stage: GitHubStage) -> None:
    stage.world.installations[stage.repository.installation].is_suspended = True

    with pytest.raises(DeliveryError) as caught:
        ask(stage)

    assert (caught.value.kind, caught.value.code) == ("rejected", "suspended")


def test_who_waits_for_anothers_token_can_be_stopped(stage: GitHubStage) -> None:
    stage.server.will(Hang(), ending=MINT)
    first, second = FakeSending(), FakeSending()
    errors: list[DeliveryError] = []

    def post(sending: FakeSending) -> None:
        try:
            stage.channel.send(stage.letter(), sending)
        except DeliveryError as error:
            errors.append(error)

    threads = [threading.Thread(target=post, args=(each,)) for each in (first, second)]
    threads[0].start()
    stage.server.wait_for(lambda server: len(server.to("POST", MINT)) == 1)
    threads[1].start()

    second.cancel()
    threads[1].join(2)
    assert [each.kind for each in errors] == ["cancelled"]
    first.cancel()
    threads[0].join(2)

    assert [each.kind for each in errors] == ["cancelled", "cancelled"]
    wait_until(lambda: not any(each.is_alive() for each in threads))


def test_no_secret_shows_in_what_can_be_printed(stage: GitHubStage) -> None:
    ask(stage)
    token = next(iter(stage.world.tokens))
    tokens = stage.api.tokens.of(stage.repository.installation)
    stage.world.revoke_all()
    stage.world.installations[stage.repository.installation].is_gone = True

    with pytest.raises(DeliveryError) as caught:
        ask(stage)

    told = "".join(traceback.format_exception(caught.value)) + repr(tokens) + repr(vars(tokens))
    assert token not in told
    assert "BEGIN RSA" not in told
    assert token not in repr(PlainToken(Secret(token)).token(Within(1)))


@pytest.mark.parametrize(
    "key", ["", "nonsense", "-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----"]
)
def test_a_key_that_is_none_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(ConfigurationError, match="TURNWRIGHT_GITHUB_PRIVATE_KEY") as caught:
        AppName("1", Secret(key))

    assert not key or key not in str(caught.value)


def test_an_app_without_an_installation_has_no_token(stage: GitHubStage) -> None:
    tokens = AppTokens(stage.api.client, AppName("4711", Secret(app_key_pem())))

    with pytest.raises(DeliveryError) as caught:
        tokens.of(0).token(Within(1))

    assert (caught.value.kind, caught.value.code) == ("refused", "no_installation")


def test_half_a_name_is_refused_before_anything_is_asked() -> None:
    for given in ({}, {"app_id": 1}, {"private_key": Secret(app_key_pem())}):
        with pytest.raises(ConfigurationError, match="TURNWRIGHT_GITHUB_TOKEN"):
            api_for("http://127.0.0.1:9", **given)


def test_nothing_large_is_loaded_before_it_is_needed() -> None:
    asked = (
        "import sys, services.channels.github.channel, services.channels.github.permissions;"
        "from services.channels.github.access import api_for;"
        "from services.variables import Secret;"
        "api_for('http://127.0.0.1:9', token=Secret('t'));"
        "print(sorted({'httpx2', 'jwt', 'cryptography'} & set(sys.modules)))"
    )

    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout

    assert told.strip() == "[]"


@pytest.mark.parametrize("off_s", [-86_400.0, -700.0, 180.0, 3500.0, 86_400.0])
def test_a_clock_that_github_refuses_is_set_by_githubs(stage: GitHubStage, off_s: float) -> None:
    world = stage.world
    key = Secret(app_key_pem())
    api = api_for(stage.server.url, app_id=4711, private_key=key, wall_s=lambda: world.now() + off_s)
    channel = GitHubChannel(api)

    for _ in range(3):
        channel.send(stage.letter(), FakeSending())

    assert world.minted == 1
    assert len(stage.server.take_mistakes()) == 1
    assert len(stage.bodies()) == 3
    world.pass_time(51 * 60)
    channel.send(stage.letter(), FakeSending())
    assert world.minted == 2


def test_a_name_that_is_refused_by_the_right_clock_is_refused(stage: GitHubStage) -> None:
    stage.server.will(Refuse(status=401), Refuse(status=401), ending=MINT)

    with pytest.raises(DeliveryError) as caught:
        ask(stage)

    assert (caught.value.kind, caught.value.code) == ("rejected", "bad_credentials")
    assert len(stage.server.to("POST", MINT)) == 1


def test_how_long_a_limit_lasts_is_told_by_githubs_clock(stage: GitHubStage) -> None:
    world = stage.world
    token = Secret(world.plain_token("turnwright"))
    api = api_for(stage.server.url, token=token, wall_s=lambda: world.now() - 7200)
    stage.server.will(primary_limit(world, in_s=60))

    with pytest.raises(DeliveryError) as caught:
        GitHubChannel(api).send(stage.letter(), FakeSending())

    assert caught.value.kind == "overloaded"
    assert 55 < (caught.value.retry_after_s or 0) < 65
