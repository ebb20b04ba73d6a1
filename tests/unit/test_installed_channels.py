"""Which channels packages bring, and what their code may not do."""

from __future__ import annotations

import threading
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channels.border import MOST_STUCK, Border, Broken, Busy, Stuck
from services.channels.contract import Channel, DeliveryError, Letter, Receipt, Sending
from services.channels.installed import GROUP, Guarded, installed_channels
from services.config import contradictions, load_config
from services.errors import ConfigurationError
from tests.fakes.letters import FakeSending, failure, letter_to
from tests.worker.waiting import wait_until

HERE = __name__
CANARY = "sk-canary"


class Plain:
    """A channel that only sends."""

    name = "plain"
    settle_ms = 0
    off = "not set:\n PLAIN_URL"

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        return Receipt()

    def find(self, letter: Letter, sending: Sending) -> Receipt | None:
        return None


class HalfReceiver(Plain):
    """Believes webhooks and can not read them."""

    def verify(self, request: object) -> None:
        """Yes."""


class Endless(Plain):
    """Settles never."""

    settle_ms = 10**9


class Unfinished(DeliveryError):
    """Does not call what it is made of."""

    def __init__(self) -> None:
        Exception.__init__(self, CANARY)


class Stumbling(DeliveryError):
    """Stumbles when it is looked at."""

    @property
    def is_limit(self) -> bool:
        """Raises."""
        raise RuntimeError(CANARY)

    @is_limit.setter
    def is_limit(self, value: bool) -> None:
        """Nothing."""


class Property(Plain):
    """Stumbles when it is looked at."""

    @property
    def verify(self) -> object:
        """Raises."""
        raise RuntimeError(CANARY)


class Raising(Plain):
    """Raises what it is told."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        raise self.error


def breaks() -> Plain:
    raise RuntimeError(CANARY)


def exits() -> Plain:
    raise SystemExit(CANARY)


def problem(name: str, value: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        installed_channels([EntryPoint(name, value, GROUP)])
    return str(raised.value)


def test_a_channel_is_found_and_its_reason_to_be_off_is_one_line() -> None:
    found = installed_channels([EntryPoint("plain", f"{HERE}:Plain", GROUP)])["plain"]

    assert (found.off, found.receiver) == ("not set: PLAIN_URL", None)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no_such_module_here:Channel", "can not be used: ModuleNotFoundError"),
        (f"{HERE}:breaks", "can not be used: RuntimeError"),
        (f"{HERE}:exits", "can not be used: SystemExit"),
        (f"{HERE}:Property", "can not be used: RuntimeError"),
        ("builtins:dict", "its name must be that of the entry point"),
        (f"{HERE}:HalfReceiver", "needs both verify() and read()"),
        (f"{HERE}:Endless", "settle_ms must be 0 to 60000"),
    ],
)
def test_a_broken_package_is_named_and_its_own_words_are_not_told(value: str, words: str) -> None:
    said = problem("plain", value)

    assert "channel plain of package" in said
    assert words in said
    assert CANARY not in said


@pytest.mark.parametrize("name", ["slack", "github", "http", "app", "in", "Acme", "a_b", ""])
def test_a_name_that_is_ours_or_no_part_of_an_address_is_refused(name: str) -> None:
    assert f"channel {name}" in problem(name, f"{HERE}:Plain")


def test_of_two_packages_with_one_name_none_wins_in_silence() -> None:
    point = EntryPoint("plain", f"{HERE}:Plain", GROUP)
    with pytest.raises(ConfigurationError, match="another package has the same name"):
        installed_channels([point, point])


def test_routes_and_sources_are_held_against_packages_with_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "plain-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: plain\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[{contradictions.CHANNELS}]\nplain = never:imported\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "turnwright.toml"

    file.write_text('[[routes]]\nsource = "plain"\n')
    assert load_config(file).routes[0].source == "plain"

    file.write_text('[[routes]]\nsource = "plan"\n\n[[sources]]\nname = "plain"\n')
    with pytest.raises(ConfigurationError) as raised:
        load_config(file)
    assert [each.partition("turnwright.toml:")[2] for each in raised.value.problems] == [
        "2: routes[0].source: there is no source 'plan'",
        "5: sources[0].name: 'plain' is there already",
    ]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(CANARY),
        SystemExit(CANARY),
        KeyboardInterrupt(),
        DeliveryError("no_such_kind"),  # type: ignore[arg-type]  # a bug of the package
        DeliveryError("rejected", retry_after_s=float("nan")),
        DeliveryError("rejected", status="500"),  # type: ignore[arg-type]  # a bug of the package
        DeliveryError("rejected", status=10**30),
        DeliveryError("rejected", status=-1),
        DeliveryError("rejected", code=7),  # type: ignore[arg-type]  # a bug of the package
        Unfinished(),
        Stumbling("rejected"),
    ],
)
def test_what_nobody_agreed_on_is_a_letter_that_may_have_arrived(error: BaseException) -> None:
    channel: Channel = Guarded(Raising(error), Border("plain"))

    judged = failure(channel, letter_to("plain:a"))

    assert (judged.kind, judged.code) == ("ambiguous", "channel_broken")
    assert CANARY not in f"{judged!r} {judged.__cause__!r}"


@pytest.mark.parametrize("receipt", [Receipt(status=10**30), Receipt(status=-1), True])
def test_a_receipt_that_is_none_is_a_letter_that_may_have_arrived(receipt: Receipt) -> None:
    class Accepting(Plain):
        """Takes everything."""

        def send(self, letter: Letter, sending: Sending) -> Receipt:
            return receipt

        find = send

    channel: Channel = Guarded(Accepting(), Border("plain"))

    assert failure(channel, letter_to("plain:a")).kind == "ambiguous"
    with pytest.raises(DeliveryError, match="channel_broken"):
        channel.find(letter_to("plain:a"), FakeSending())


@given(st.text())
def test_a_code_of_a_package_is_told_only_if_it_is_one(code: str) -> None:
    channel = Guarded(Raising(DeliveryError("refused", code=f"{code} {CANARY}")), Border("plain"))

    assert failure(channel, letter_to("plain:a"), FakeSending()).code == ""


def test_what_does_not_come_back_is_left_behind_until_too_much_is() -> None:
    border, opened = Border("plain"), threading.Event()
    for _ in range(MOST_STUCK):
        with pytest.raises(Stuck):
            border.call("send", opened.wait, within_s=0.01, known=DeliveryError)

    with pytest.raises(Busy):
        border.call("send", opened.wait, within_s=1, known=DeliveryError)
    opened.set()

    def goes_on() -> bool:
        try:
            return border.call("send", lambda: True, within_s=5, known=DeliveryError)
        except Busy:
            return False

    wait_until(goes_on)


def test_an_error_that_was_agreed_on_passes() -> None:
    with pytest.raises(DeliveryError):
        Border("plain").call("send", _refuse, within_s=5, known=DeliveryError)
    with pytest.raises(Broken):
        Border("plain").call("send", _refuse, within_s=5, known=ValueError)


def _refuse() -> None:
    raise DeliveryError("refused")
