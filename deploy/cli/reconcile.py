"""Having GitHub asked for what it could not deliver, and waiting until somebody did."""

from __future__ import annotations

import time

from deploy.cli.server import Failed, Server
from services.sessions.reconciling import Reconciled

_PATH = "/api/inbound/reconcile"
# A look takes a minute at most, and one may be under way, or the turn of one that died.
_PATIENCE_S = 150.0
_POLL_S = 0.3


def reconcile(server: Server) -> str:
    """What it brought, as a sentence. Raises: Failed: GitHub can not be asked, or nobody did in time."""
    asked, _ = server.send(_PATH, Reconciled, {})
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        state, _ = server.read(_PATH, Reconciled)
        if state.answered >= asked.asked:
            return _told(state)
        if time.monotonic() > deadline:
            raise Failed("no worker asked GitHub in time: see `turnwright doctor`")
        time.sleep(_POLL_S)


def _told(state: Reconciled) -> str:
    if state.error and not state.taken:
        raise Failed(f"GitHub was not asked for all of it: {state.error}")
    refused = f", {state.refused} can not be read" if state.refused else ""
    left = f", {state.left} not to be had yet" if state.left else ""
    rest = f"; the rest comes with the next look ({state.error})" if state.error else ""
    return f"GitHub could not deliver {state.found}: {state.taken} taken in{refused}{left}{rest}"
