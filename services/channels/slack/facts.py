"""What has to be asked of Slack: who we are there, what people are called, what a thread held before we came in."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from services.channels.contract import DeliveryError, Sending
from services.channels.slack.address import SlackAddress, known_ts
from services.channels.slack.client import SlackClient
from services.channels.slack.payloads import Attachment, File, MessageBody, id_of, part, several

if TYPE_CHECKING:
    from services.channels.slack.sdk import Web

S = TypeVar("S", bound=msgspec.Struct)

TIMEOUT_S = 10.0
NAME_S = 3600.0
NAMES_KEPT = 5_000
NAME_LIMIT = 80
# Who names more people in a message leaves the others to their ids: every name may be a call.
NAMES_ASKED = 25
_NOBODY = frozenset({"user_not_found", "user_not_visible"})
SO_FAR_LIMIT = 100
PAGE = 200
PAGES = 20


_ends = re.compile(r"[\[\](){}<>,:\x00-\x1f]")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The installation that a token belongs to: its workspace, and who we are there."""

    team: str
    team_name: str = ""
    bot_user: str = ""
    bot: str = ""


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a thread, as far as a model needs it. `author` is a user's id, else a bot's."""

    ts: str
    author: str
    text: str
    files: tuple[File, ...] = ()
    attachments: tuple[Attachment, ...] = ()


class _Profile(msgspec.Struct, frozen=True):
    display_name: str = ""
    real_name: str = ""


class _User(msgspec.Struct, frozen=True):
    name: str = ""
    profile: _Profile = _Profile()


class _Identity(msgspec.Struct, frozen=True):
    team_id: str
    team: str = ""
    user_id: str = ""
    bot_id: str = ""


class _Cursor(msgspec.Struct, frozen=True):
    next_cursor: str = ""


class _Thread(msgspec.Struct, frozen=True):
    messages: list[object] = []
    response_metadata: _Cursor | None = None


class _Users(msgspec.Struct, frozen=True):
    user: _User = _User()


def identity(client: SlackClient, sending: Sending, *, timeout_s: float = TIMEOUT_S) -> Identity:
    """Whose token it is. Raises: DeliveryError."""
    return identity_of(client.attempt(sending, timeout_s))


def identity_of(web: Web) -> Identity:
    """Whose token an attempt is made with. Raises: DeliveryError."""
    found = _read(web.auth_test().data, _Identity)
    return Identity(team=found.team_id, team_name=found.team, bot_user=found.user_id, bot=found.bot_id)


def so_far(
    client: SlackClient,
    address: SlackAddress,
    before_ts: str,
    sending: Sending,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Sequence[Earlier]:
    """What was said in a thread before `before_ts`, oldest first: how it began, and the last `SO_FAR_LIMIT` replies.

    Of a thread longer than `PAGES` pages those are the last of what is read. Raises: DeliveryError.
    """
    web = client.attempt(sending, timeout_s)
    first: list[Earlier] = []
    last: deque[Earlier] = deque(maxlen=SO_FAR_LIMIT)
    cursor: str | None = None
    for _ in range(PAGES):
        answer = web.conversations_replies(
            channel=address.channel, ts=address.thread_ts, latest=before_ts, limit=PAGE, cursor=cursor
        )
        page = _read(answer.data, _Thread)
        found = [each for each in map(_earlier, page.messages) if each and float(each.ts) < float(before_ts)]
        # Every page begins with how the thread began.
        first = first or [each for each in found if each.ts == address.thread_ts]
        last.extend(each for each in found if each.ts != address.thread_ts)
        cursor = page.response_metadata.next_cursor if page.response_metadata else None
        if not cursor:
            break
    return [*first, *last]


def _earlier(message: object) -> Earlier | None:
    body = part(msgspec.Raw(msgspec.json.encode(message)), MessageBody)
    if body is None or not known_ts(body.ts):
        return None
    return Earlier(
        ts=known_ts(body.ts),
        author=id_of(body.user) or body.bot_id or "",
        text=body.text or "",
        files=tuple(several(body.files, File)),
        attachments=tuple(several(body.attachments, Attachment)),
    )


class People:
    """Names of users by id, asked for once in `NAME_S`. Thread-safe."""

    def __init__(self, client: SlackClient, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client, self._monotonic = client, monotonic
        self._lock = threading.Lock()
        self._names: dict[str, tuple[str, float]] = {}

    def names(
        self, ids: Iterable[str], sending: Sending, *, timeout_s: float = TIMEOUT_S
    ) -> Mapping[str, str]:
        """What the users with `ids` are called, as far as Slack tells; the others are left out. Never raises.

        At most `NAMES_ASKED` of them are asked for.
        """
        web = self._client.attempt(sending, timeout_s)
        found, asked = {}, 0
        for id in ids:
            name = self._known(id)
            if name is None and asked < NAMES_ASKED:
                asked += 1
                name = self._asked(web, id)
            if name:
                found[id] = name
        return found

    def _asked(self, web: Web, id: str) -> str:
        try:
            user = _read(web.users_info(user=id).data, _Users).user
        except DeliveryError as error:
            if error.code in _NOBODY:
                self._keep(id, "")
            return ""
        name = _plain(user.profile.display_name) or _plain(user.profile.real_name) or _plain(user.name)
        self._keep(id, name)
        return name

    def _known(self, id: str) -> str | None:
        with self._lock:
            name, ends = self._names.get(id, ("", 0.0))
        return name if self._monotonic() < ends else None

    def _keep(self, id: str, name: str) -> None:
        with self._lock:
            if len(self._names) >= NAMES_KEPT:
                del self._names[next(iter(self._names))]
            self._names[id] = (name, self._monotonic() + NAME_S)


def _plain(name: str) -> str:
    """People choose their names, and models read who said what: in one line, without what ends a label."""
    return " ".join(_ends.sub(" ", name[:NAME_LIMIT]).split())


def _read(data: object, type: type[S]) -> S:
    try:
        return msgspec.convert(data, type, strict=False)
    except msgspec.ValidationError:
        raise DeliveryError("ambiguous", code="wrong_shape") from None
