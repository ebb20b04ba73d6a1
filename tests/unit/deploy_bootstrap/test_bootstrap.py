"""What `make up` says on a machine where it can not work, before it changes anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy" / "bootstrap.sh"
# Runs what it is given after changing what the interpreter says of itself.
PYTHON = """#!/bin/sh
exec {python} -c '{lie}
import sys; exec(sys.argv[1])' "$2"
"""
TOO_OLD = "import sys; sys.version_info = (3, 10, 2, 'final', 0)"
TOO_NEW = "import sys; sys.version_info = (3, 15, 0, 'final', 0)"
NO_VENV = "import sys; sys.version_info = (3, 12, 1); sys.modules['ensurepip'] = None"
# An environment whose pip breaks off where it installs what the lock pins, and otherwise succeeds.
BROKEN_PIP = """#!/bin/sh
for word in "$@"; do if [ "$word" = --require-hashes ]; then exit 1; fi; done
exit 0
"""
MUSL = "import platform; platform.libc_ver = lambda *_: ('', '')"
OLD_GLIBC = "import platform; platform.libc_ver = lambda *_: ('glibc', '2.27')"


class Machine:
    """An empty directory to install into, and a PATH that holds nothing but the test's interpreters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        (folder / "requirements.lock").write_text("")

    def has(self, name: str, lie: str) -> None:
        program = self.programs / name
        program.write_text(PYTHON.format(python=sys.executable, lie=lie.replace("'", '"')))
        program.chmod(0o755)

    def bootstrap(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(SCRIPT), "requirements.lock"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={"PATH": str(self.programs), **environment},
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_without_python_is_told_what_to_install(machine: Machine) -> None:
    refused = machine.bootstrap()

    assert refused.returncode == 2
    assert "needs Python 3.11 to 3.14 with venv, and found none" in refused.stderr
    assert "apt install python3 python3-venv" in refused.stderr


def test_every_unsuitable_python_is_named_with_its_flaw(machine: Machine) -> None:
    machine.has("python3.12", NO_VENV)
    machine.has("python3", TOO_OLD)
    machine.has("python", TOO_NEW)

    refused = machine.bootstrap()

    assert refused.returncode == 2
    assert (
        "python3.12 is 3.12.1 but lacks venv (Debian, Ubuntu: apt install python3.12-venv)" in refused.stderr
    )
    assert "python3 is 3.10.2, needed is 3.11 to 3.14" in refused.stderr
    assert "python is 3.15.0, needed is 3.11 to 3.14" in refused.stderr
    assert not (machine.folder / ".venv").exists()


@pytest.mark.parametrize("lie", [MUSL, OLD_GLIBC])
@pytest.mark.skipif(sys.platform != "linux", reason="it is the C library of Linux that differs")
def test_a_machine_without_a_binary_for_it_is_told_to_bring_a_store(machine: Machine, lie: str) -> None:
    machine.has("python3.11", lie)

    refused = machine.bootstrap()

    assert refused.returncode == 2
    assert "set TURNWRIGHT_STORE_URL" in refused.stderr
    assert not (machine.folder / ".venv").exists()


def test_what_could_not_be_installed_is_not_called_installed(machine: Machine) -> None:
    """Otherwise every later start would find it done, and fail for no visible reason."""
    python = machine.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(BROKEN_PIP)
    python.chmod(0o755)
    (machine.folder / "pyproject.toml").write_text("")

    refused = machine.bootstrap(PATH=f"{machine.programs}:/usr/bin:/bin")

    assert refused.returncode == 1
    assert refused.stderr.rstrip().endswith("installing failed; see above")
    assert not (machine.folder / ".venv" / "installed" / "requirements.lock").exists()
