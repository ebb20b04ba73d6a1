"""What the environment says about the spool: where it lies, or why there is none.

A container's files are gone with it, and what was acknowledged must not be: there it has to be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from services.environment import Environment
from services.variables import data_folder

FOLDER = "spool"
_MARKS = (".dockerenv", "run/.containerenv")
_VARIABLES = ("KUBERNETES_SERVICE_HOST", "container")
_IN_GROUP = ("docker", "kubepods", "containerd", "libpod", "lxc", "/ecs/")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSettings:
    """The spool's `folder`; None where there is none, and `off` says why."""

    folder: Path | None = None
    off: str = ""


def spool_settings(
    reader: Environment, environ: Mapping[str, str], home: Path, *, root: Path = Path("/")
) -> SpoolSettings:
    """TURNWRIGHT_SPOOL: `auto`, `on` and `off`, or the folder it shall lie in, which a volume keeps.

    `auto` is on unless this looks like a container; `root` is where that is seen.
    """
    wanted = reader.read("SPOOL", _wanted_of, "auto")
    if isinstance(wanted, Path):
        return SpoolSettings(folder=wanted)
    if wanted == "off":
        return SpoolSettings(off="TURNWRIGHT_SPOOL=off")
    if wanted == "auto" and (sign := container_sign(environ, root)):
        return SpoolSettings(
            off=f"this is a container ({sign}), whose files may go with it:"
            " set TURNWRIGHT_SPOOL to a folder on a persistent volume, or to on if the data directory is one"
        )
    return SpoolSettings(folder=home / FOLDER)


def container_sign(environ: Mapping[str, str], root: Path = Path("/")) -> str:
    """What makes this look like a container; empty where nothing does. One sign is enough."""
    for name in _VARIABLES:
        if environ.get(name):
            return name
    for mark in _MARKS:
        if (root / mark).exists():
            return f"/{mark}"
    if any(each in _text(root / "proc/1/cgroup") for each in _IN_GROUP):
        return "/proc/1/cgroup"
    if any(_is_overlaid(line) for line in _text(root / "proc/self/mountinfo").splitlines()):
        return "an overlay as /"
    return ""


def _wanted_of(text: str) -> Path | Literal["auto", "on", "off"]:
    match text.lower():
        case "auto" | "on" | "off" as word:
            return word
    if "/" not in text:
        raise ValueError(f"must be auto, on, off or the path of a folder with a / in it, not {text!r}")
    return data_folder(text)


def _is_overlaid(line: str) -> bool:
    """Whether a line of mountinfo (proc(5)) says that the root of all files is put together from layers."""
    mount, _, filesystem = line.partition(" - ")
    fields = mount.split()
    return (
        len(fields) > 4 and fields[4] == "/" and filesystem.startswith(("overlay ", "fuse.fuse-overlayfs "))
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
