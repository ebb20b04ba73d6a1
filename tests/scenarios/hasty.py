"""The web worker with short times, and an application whose answer is larger than any buffer."""

from __future__ import annotations

from collections.abc import Callable

from deploy.web_worker import PatientWorker
from tests.unit.web_bare import bare_app

LARGE = 20_000_000


class HastyWorker(PatientWorker):
    """Waits for nobody for long."""

    body_s = 1.0
    head_s = 1.0
    pause_s = 1.0


def app(environ: dict[str, object], start: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
    """The bare application, and `/large` beside it."""
    if environ["PATH_INFO"] != "/large":
        return _bare(environ, start)  # type: ignore[arg-type,return-value]  # WSGI's own types are wider
    start("200 OK", [("Content-Length", str(LARGE))])
    return [bytes(LARGE)]


_bare = bare_app()
