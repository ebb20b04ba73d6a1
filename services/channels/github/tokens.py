"""Who we are to GitHub: a token as it is, or an app that signs its name and gets tokens for an hour.

Tokens are kept in memory only and show themselves to nobody.
Source: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from typing import Protocol

import msgspec

from services.channels.contract import DeliveryError
from services.channels.github.asks import Ask, path_of
from services.channels.github.client import Authority, Client
from services.channels.github.within import Within
from services.errors import ConfigurationError
from services.variables import Secret

# Of the 60 minutes a token lives and the 10 minutes a signed name may be valid at most.
REFRESH_BEFORE_S = 600
NAME_BEFORE_S, NAME_AFTER_S = 60, 480
INSTALLATIONS_KEPT = 1024
# Clocks that differ by less are no reason to refuse a name.
SKEW_S = 30.0
_WAIT_SLICE_S = 0.2


class Tokens(Protocol):
    """In whose name the API is asked."""

    def of(self, installation: int) -> Authority:
        """For what happens in an installation of the app; 0: the only one, or none."""

    def itself(self) -> Authority | None:
        """For what the app asks about itself; None without an app."""


class PlainToken:
    """One token for everything."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def of(self, installation: int) -> Authority:
        """The same for all."""
        return self

    def itself(self) -> Authority | None:
        """There is no app."""
        return None

    def token(self, within: Within) -> Secret:
        """The token."""
        return self._token

    def is_renewed(self, refused: Secret, at_s: float | None) -> bool:
        """Never: a person must."""
        return False


class AppName:
    """The name of an app, signed anew whenever it is asked for, by GitHub's clock once that refused ours.

    `wall_s` is epoch seconds. Raises: ConfigurationError for a bad key.
    """

    def __init__(self, app_id: str, private_key: Secret, *, wall_s: Callable[[], float] = time.time) -> None:
        self._app_id, self._wall_s, self._skew_s = app_id, wall_s, 0.0
        self._sign = _signer(private_key)

    def token(self, within: Within) -> Secret:
        """A JWT that is valid for some minutes, also where clocks are a minute behind."""
        now = int(self.now_s())
        return Secret(
            self._sign({"iat": now - NAME_BEFORE_S, "exp": now + NAME_AFTER_S, "iss": self._app_id})
        )

    def is_renewed(self, refused: Secret, at_s: float | None) -> bool:
        """The key is the same, but our clock may be wrong."""
        skew_s = self._skew_s if at_s is None else at_s - self._wall_s()
        if abs(skew_s - self._skew_s) < SKEW_S:
            return False
        self._skew_s = skew_s
        return True

    def now_s(self) -> float:
        """GitHub's time as far as it is known, epoch seconds."""
        return self._wall_s() + self._skew_s


class AppTokens:
    """The tokens of an app's installations: got when needed, by one thread for all, renewed ten minutes early."""

    def __init__(self, client: Client, name: AppName) -> None:
        self._client, self._name = client, name
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, _Installation] = OrderedDict()

    def of(self, installation: int) -> Authority:
        """The authority in one installation."""
        with self._lock:
            found = self._kept.get(installation)
            if found is None:
                found = _Installation(installation, self._mint, self._name.now_s)
                self._kept[installation] = found
            self._kept.move_to_end(installation)
            if len(self._kept) > INSTALLATIONS_KEPT:
                self._kept.popitem(last=False)
            return found

    def itself(self) -> Authority | None:
        """The app under its signed name."""
        return self._name

    def _mint(self, installation: int, within: Within) -> _Minted:
        if not installation:
            raise DeliveryError("refused", code="no_installation")
        ask = Ask(method="POST", path=path_of(("app", "installations", installation, "access_tokens")))
        try:
            answer = self._client.ask(ask, self._name, within.quietly())
        except DeliveryError as error:
            raise _not_minted(error) from None
        return answer.read(_Minted)


class _Minted(msgspec.Struct, frozen=True):
    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "_Minted(***)"


class _Installation:
    """One installation's token, and the one thread that gets it."""

    def __init__(self, id: int, mint: Callable[[int, Within], _Minted], now_s: Callable[[], float]) -> None:
        self._id, self._mint, self._now_s = id, mint, now_s
        self._minting = threading.Lock()
        self._token: Secret | None = None
        self._renew_at = 0.0

    def token(self, within: Within) -> Secret:
        """A token that is good for ten minutes more. Raises: DeliveryError."""
        token = self._fresh()
        if token is not None:
            return token
        while not self._minting.acquire(timeout=_WAIT_SLICE_S):
            within.go_on()
            if not within.left_s():
                raise DeliveryError("not_sent", code="timeout")
        try:
            return self._fresh() or self._renewed(within)
        finally:
            self._minting.release()

    def is_renewed(self, refused: Secret, at_s: float | None) -> bool:
        """Forget a token that was refused; whoever is first gets another one for all."""
        with self._minting:
            if self._token == refused:
                self._token = None
        return True

    def _fresh(self) -> Secret | None:
        token = self._token
        return token if token is not None and self._now_s() < self._renew_at else None

    def _renewed(self, within: Within) -> Secret:
        minted = self._mint(self._id, within)
        token = Secret(minted.token)
        # First this: another thread may look at the token meanwhile.
        self._renew_at = minted.expires_at.timestamp() - REFRESH_BEFORE_S
        self._token = token
        return token


def _signer(private_key: Secret) -> Callable[[dict[str, int | str]], str]:
    if find_spec("jwt") is None or find_spec("cryptography") is None:
        raise ConfigurationError("GitHub: PyJWT is not installed: pip install 'turnwright[github]'")
    # Not before it is used: cryptography is large.
    import jwt
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private_key.reveal().encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationError(
            "TURNWRIGHT_GITHUB_PRIVATE_KEY: must be the RSA key in PEM form that GitHub made for the app"
        ) from None
    return lambda claims: jwt.encode(claims, key, algorithm="RS256")


def _not_minted(error: DeliveryError) -> DeliveryError:
    """Why there is no token: nothing of a letter has left, whatever it was."""
    if error.kind == "gone":
        return DeliveryError("gone", code="installation_gone", status=error.status)
    if error.kind in ("ambiguous", "not_sent"):
        return DeliveryError("not_sent", code="no_token", status=error.status)
    return error
