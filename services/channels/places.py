"""Where triggers are answered: what people write (`slack:<channel id>`, `github:<owner>/<repository>#<number>`) becomes
what an input says in `reply_to`.

Of other channels it is taken as it is: what follows the channel's name, the channel reads itself.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from services.channels.accounts import Accounts
from services.channels.contract import DeliveryError, Sending
from services.channels.installed import Installed
from services.errors import Invalid
from services.settings import Settings

if TYPE_CHECKING:
    from services.channels.github.target import Repository

TIMEOUT_S = 10.0
# How long what was asked of GitHub is believed.
BELIEVED_S = 600.0
KEPT = 1000

_slack = re.compile(r"slack:([A-Z0-9]{2,40})", re.ASCII)
_NAME = r"(?!\.{1,2}[/#])[\w.-]{1,100}"
_github = re.compile(rf"github:({_NAME}/{_NAME})#([1-9][0-9]{{0,17}})", re.ASCII)
_FORMS = {
    "slack": (_slack, "slack:<channel id>, like slack:C0123456789"),
    "github": (_github, "github:<owner>/<repository>#<number of an issue or pull request>"),
}


class Places:
    """The places of an installation. Serves many threads."""

    def __init__(self, settings: Settings, accounts: Accounts, installed: Mapping[str, Installed]) -> None:
        self._accounts = accounts
        self._off = {name: each.off for name, each in installed.items()}
        self._off |= {"slack": settings.slack.off, "github": settings.github.off}
        self._lock = threading.Lock()
        self._team = ""
        self._repositories: dict[str, tuple[Repository, float]] = {}

    def check(self, answer_in: str) -> None:
        """Refuse what can not be a place. Asks nobody. Raises: Invalid."""
        name, _, rest = answer_in.partition(":")
        off = self._off.get(name)
        if off is None or not rest:
            raise Invalid(
                "answer_in", f"must begin with one of {', '.join(f'{each}:' for each in sorted(self._off))}"
            )
        if off:
            raise Invalid("answer_in", f"{name} is off: {off}")
        form, spelled = _FORMS.get(name, (None, ""))
        if form is not None and not form.fullmatch(answer_in):
            raise Invalid("answer_in", f"must be {spelled}")

    def address(self, answer_in: str, sending: Sending) -> str:
        """What an input says in `reply_to`. Raises: DeliveryError: gone or refused where there is no such place."""
        try:
            self.check(answer_in)
        except Invalid:
            raise DeliveryError("refused", code="no_such_place") from None
        if found := _slack.fullmatch(answer_in):
            return f"slack:{self._workspace(sending)}:{found[1]}"
        if found := _github.fullmatch(answer_in):
            return self._issue(found[1], int(found[2]), sending)
        return answer_in

    def _workspace(self, sending: Sending) -> str:
        from services.channels.slack.facts import identity

        if not self._team:
            self._team = identity(self._accounts.slack(), sending, timeout_s=TIMEOUT_S).team
        return self._team

    def _issue(self, name: str, number: int, sending: Sending) -> str:
        from services.channels.github.target import Target

        return Target(repository=self._repository(name, sending), number=number).address

    def _repository(self, name: str, sending: Sending) -> Repository:
        from services.channels.github.within import Within

        now = time.monotonic()
        with self._lock:
            known = self._repositories.get(name)
        if known is not None and now - known[1] < BELIEVED_S:
            return known[0]
        try:
            found = self._accounts.github().repository(name, Within(TIMEOUT_S, sending).quietly())
        except DeliveryError as error:
            raise (
                DeliveryError("gone", code="no_such_repository") if error.kind == "gone" else error
            ) from None
        with self._lock:
            if len(self._repositories) >= KEPT:
                self._repositories.clear()
            self._repositories[name] = (found, now)
        return found
