"""Where the spool lies: with the data, unless that may go with a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.diagnosis.spooled import check_spool
from services.environment import Environment
from services.errors import ConfigurationError
from services.settings import load_settings
from services.spool.file import SpoolFile
from services.spool_settings import SpoolSettings, container_sign, spool_settings
from tests.fakes.spool_stage import entry, sql

OVERLAID = "711 600 0:52 / / rw,relatime - overlay overlay rw,lowerdir=/a"
PLAIN = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root of a machine that is no container."""
    for name, text in {"proc/1/cgroup": "0::/init.scope\n", "proc/self/mountinfo": f"{PLAIN}\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def _settings(machine: Path, **environ: str) -> SpoolSettings:
    return spool_settings(Environment(environ), environ, machine / "home", root=machine)


def test_on_a_machine_of_its_own_it_lies_in_the_data_directory(machine: Path) -> None:
    assert _settings(machine) == SpoolSettings(folder=machine / "home" / "spool")


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_a_mark_of_a_container_turns_it_off(machine: Path, mark: str) -> None:
    (machine / mark).parent.mkdir(exist_ok=True)
    (machine / mark).touch()

    assert _settings(machine).folder is None
    assert f"/{mark}" in _settings(machine).off


@pytest.mark.parametrize(
    ("file", "text"),
    [("proc/1/cgroup", "0::/kubepods.slice/pod1\n"), ("proc/self/mountinfo", f"{OVERLAID}\n")],
)
def test_what_the_kernel_says_turns_it_off(machine: Path, file: str, text: str) -> None:
    (machine / file).write_text(text)

    assert _settings(machine).off.startswith("this is a container (")


@pytest.mark.parametrize("name", ["KUBERNETES_SERVICE_HOST", "container"])
def test_a_variable_of_a_container_turns_it_off(machine: Path, name: str) -> None:
    assert name in _settings(machine, **{name: "10.0.0.1"}).off


def test_an_overlay_elsewhere_is_no_container(machine: Path) -> None:
    (machine / "proc/self/mountinfo").write_text(f"{PLAIN}\n{OVERLAID.replace(' / / ', ' / /var/x ')}\n")

    assert container_sign({}, machine) == ""


@pytest.mark.parametrize("word", ["on", "ON"])
def test_in_a_container_it_can_be_asked_for(machine: Path, word: str) -> None:
    (machine / ".dockerenv").touch()

    assert _settings(machine, TURNWRIGHT_SPOOL=word).folder == machine / "home" / "spool"
    named = _settings(machine, TURNWRIGHT_SPOOL=f"{machine}/volume")
    assert named.folder == machine / "volume"


def test_it_can_be_turned_off(machine: Path) -> None:
    assert _settings(machine, TURNWRIGHT_SPOOL="off") == SpoolSettings(off="TURNWRIGHT_SPOOL=off")


@pytest.mark.parametrize("text", ["yes", "spool", "auto,on"])
def test_another_word_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="TURNWRIGHT_SPOOL: must be auto, on, off or the path"):
        load_settings({"TURNWRIGHT_SPOOL": text})


def _said(settings: SpoolSettings) -> list[tuple[str, str]]:
    return [(finding.state, finding.text) for finding in check_spool(settings)]


def test_doctor_says_why_there_is_none() -> None:
    ((state, text),) = _said(SpoolSettings(off="TURNWRIGHT_SPOOL=off"))

    assert (state, text.partition(".")[0]) == ("ok", "off: TURNWRIGHT_SPOOL=off")


def test_doctor_says_what_waits_what_was_refused_and_what_was_moved_aside(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path)
    settings = SpoolSettings(folder=tmp_path)
    file.prepare()
    assert _said(settings) == [("ok", f"on, nothing waits in {tmp_path}")]

    file.add([entry(key="canary-1"), entry("inbound:canary", "2"), entry(key="3")])
    file.reject(file.oldest()[0], "too_large")
    (tmp_path / "spool-0000000000001.sqlite3.corrupt").touch()

    waiting, refused, corrupt = _said(settings)
    assert waiting[0] == "warning"
    assert waiting[1].startswith("2 webhook(s) of 2 stream(s) wait for the log store, the first for ")
    assert refused[0] == "problem"
    assert refused[1].startswith(
        "1 acknowledged webhook(s) were refused for good by the log store (too_large: 1)"
    )
    assert corrupt[0] == "problem"
    assert "canary" not in waiting[1] + refused[1] + corrupt[1]
    file.close()


def test_doctor_changes_nothing_while_it_looks(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path)
    file.add([entry()])
    file.close()
    before = sorted(path.name for path in tmp_path.iterdir())

    _said(SpoolSettings(folder=tmp_path))

    assert sql(tmp_path, "SELECT count(*) FROM waiting") == [(1,)]
    assert [name for name in sorted(path.name for path in tmp_path.iterdir()) if "-" not in name[6:]] == [
        name for name in before if "-" not in name[6:]
    ]
