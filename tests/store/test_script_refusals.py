"""What a script refuses, it refuses before its first write: wrong types, too much at once, a broken disk."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest

from services.errors import Conflict, Defect, Invalid, Overloaded, TurnwrightError
from services.streams.event import EventInput
from services.streams.keys import Keys
from services.streams.log import Appended
from services.streams.store import Script, read_script, script_of
from tests.fakes.lua_faults import standing_clock
from tests.fakes.puppet import CREATED, Told, tell
from tests.fakes.store_servers import Console, console, data_folder, serve
from tests.fakes.store_stage import Stage, dump
from tests.store.script_scenarios import SCENARIOS, S, Scenario
from tests.worker.waiting import wait_until

ALL = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())


def _fresh(url: str) -> Stage:
    return Stage(url, Keys(f"t{uuid.uuid4().hex[:12]}", shards=1), read=standing_clock)


def _keys_of(bare: Console, stage: Stage, scenario: Scenario) -> list[str]:
    """The keys that the scenario's script is called with; those with made-up names are left out."""
    spy = f"{stage.keys.namespace}-spy"

    def read(name: str) -> Script:
        if name != scenario.script:
            return standing_clock(name)
        text = f"for _, key in ipairs(KEYS) do redis.call('RPUSH', '{spy}', key) end return 0"
        return script_of(name, text)

    spied = Stage(stage.url, stage.keys, read=read)
    with suppress(AssertionError, msgspec.DecodeError, TypeError, TurnwrightError):
        scenario.act(spied)
    spied.close()
    found = [key.decode() for key in bare.execute_command("LRANGE", spy, 0, -1)]
    bare.execute_command("DEL", spy)
    return [key for key in dict.fromkeys(found) if ":op:{" not in key and ":blob:{" not in key]


@ALL
def test_a_key_of_a_wrong_type_is_refused_before_the_first_write(
    store_url: str, bare: Console, scenario: Scenario
) -> None:
    seen = _fresh(store_url)
    scenario.prepare(seen)
    names = _keys_of(bare, seen, scenario)
    seen.close()
    assert names

    for name in names:
        if scenario.act is SCENARIOS["settle with the next commit"].act and (
            ":job:{" in name or ":queue:{" in name
        ):
            continue  # the commit that rides along is refused, the outcome is kept
        stage = _fresh(store_url)
        scenario.prepare(stage)
        broken = name.replace(seen.keys.namespace, stage.keys.namespace)
        bare.execute_command("DEL", broken)
        bare.execute_command("RPUSH", broken, "x")
        before = dump(bare, stage.keys.namespace)

        with pytest.raises(TurnwrightError):
            scenario.act(stage)

        after = dump(bare, stage.keys.namespace)
        assert after | {"blobs": before["blobs"]} == before, broken
        stage.close()


@pytest.mark.parametrize("count", [0, 129])
def test_an_append_of_none_or_too_many_events_is_refused(stage: Stage, count: int) -> None:
    with pytest.raises(Invalid):
        stage.log.append(S, [tell()] * count, create=CREATED)

    assert stage.log.head(S) == 0


def test_the_script_itself_refuses_more_than_128_events(stage: Stage) -> None:
    with pytest.raises(Defect):
        _append_raw(stage, [b"{}"] * 129)

    assert stage.log.head(S) == 0


def test_the_script_itself_refuses_more_than_about_a_megabyte(stage: Stage) -> None:
    with pytest.raises(Defect):
        _append_raw(stage, [b"x" * 400_000] * 3)

    assert stage.log.head(S) == 0


def _append_raw(stage: Stage, bodies: list[bytes]) -> Appended:
    keys, shard = stage.keys, stage.keys.shard(S)
    names = [
        keys.log(S),
        keys.meta(S),
        keys.due(shard, "advance"),
        keys.op(shard, "{op}"),
        keys.clock(shard),
        keys.recent(shard),
        keys.marks(S),
    ]
    header = {
        "stream": S,
        "channel": "c",
        "create": False,
        "exists": False,
        "expected": -1,
        "external": False,
        "most": 0,
        "wins": False,
        "source": "",
        "n": 0,
        "idem_ms": 1000,
        "events": [{"k": 0, "fp": "", "b": 0, "id": ""}] * len(bodies),
    }
    return stage.store.write("append", names, header, bodies, Appended)


def test_128_events_of_50_kilobytes_fit_one_call_because_the_rest_goes_beside_the_log(stage: Stage) -> None:
    texts = [f"{n:03d}" + "x" * 50_000 for n in range(128)]

    stage.log.append(S, [tell(Told(text=text)) for text in texts], create=CREATED)

    found = stage.log.read(S, after=1, limit=200)
    assert [event.decode(Told).text for event in found] == texts


def test_a_body_over_64_kilobytes_is_kept_beside_the_log_for_good(stage: Stage, bare: Console) -> None:
    text = "y" * 70_000

    stage.log.append(S, [tell(Told(text=text))], create=CREATED)

    [(body, expires)] = _bodies(bare, stage)
    assert text.encode() in body
    assert not expires
    assert stage.log.read(S)[1].decode(Told).text == text


def test_a_body_whose_append_is_refused_expires_by_itself(stage: Stage, bare: Console) -> None:
    with pytest.raises(Conflict):
        stage.log.append(S, [tell(Told(text="y" * 70_000))], create=CREATED, expected=7)

    [(_, expires)] = _bodies(bare, stage)
    assert expires


def test_a_body_of_a_repeated_append_expires_and_the_first_one_stays(stage: Stage, bare: Console) -> None:
    large = tell(Told(text="y" * 70_000), key="a")

    stage.log.append(S, [large], create=CREATED)
    again = stage.log.append(S, [large])

    assert again.duplicates == [True]
    assert sorted(expires for _, expires in _bodies(bare, stage)) == [False, True]


def test_an_event_whose_body_is_gone_is_refused(stage: Stage, bare: Console) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    reading = Stage(stage.url, stage.keys, read=_without_blobs)

    with pytest.raises(Conflict, match="blob"):
        reading.log.append(S, [tell(Told(text="y" * 70_000))])

    assert stage.log.head(S) == 2
    reading.close()


def _without_blobs(name: str) -> Script:
    """As if every body had expired between being written and being referred to."""
    text = "for _, key in ipairs(KEYS) do if string.find(key, ':blob:{', 1, true) then redis.call('DEL', key) end end\n"
    return script_of(name, text + read_script(name).text)


def _bodies(bare: Console, stage: Stage) -> list[tuple[bytes, bool]]:
    found = dump(bare, stage.keys.namespace)["blobs"]
    assert isinstance(found, list)
    return found


@pytest.fixture
def failing_disk() -> Iterator[str]:
    """A server of its own that could not save to its disk and refuses writes since."""
    with serve("redis7") as url, console(url) as bare:
        shutil.rmtree(data_folder(url))
        bare.execute_command("CONFIG", "SET", "save", "3600 1")
        bare.execute_command("BGSAVE")
        wait_until(lambda: bare.execute_command("INFO", "persistence")["rdb_last_bgsave_status"] == "err")
        yield url
        bare.execute_command("CONFIG", "SET", "save", "")


def test_a_store_that_can_not_write_to_its_disk_is_overloaded(failing_disk: str) -> None:
    stage = Stage(failing_disk, Keys("t", shards=1))

    with pytest.raises(Overloaded) as refused:
        stage.log.append(S, [EventInput(type="x", payload=msgspec.Raw(b"{}"))], create=CREATED)

    assert refused.value.reason == "store_disk"
    assert refused.value.retry_after_s > 0
    assert stage.log.head(S) == 0
    stage.close()
