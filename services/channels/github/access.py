"""GitHub's API in the name that an installation was given: a token, or an app and its key."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.channels.github.api import API
from services.channels.github.client import Client
from services.channels.github.tokens import AppName, AppTokens, PlainToken
from services.errors import ConfigurationError
from services.variables import Secret


def api_for(
    base_url: str,
    *,
    token: Secret | None = None,
    app_id: int | None = None,
    private_key: Secret | None = None,
    wall_s: Callable[[], float] = time.time,
) -> API:
    """The API at `base_url`, which ends without a slash. Asks nothing yet. `wall_s` is epoch seconds.

    Raises: ConfigurationError: neither name is complete, the key is none, or PyJWT is missing.
    """
    client = Client(base_url, wall_s=wall_s)
    if token is not None:
        return API(client, PlainToken(token), wall_s=wall_s)
    if app_id is None or private_key is None:
        raise ConfigurationError(
            "GitHub: set TURNWRIGHT_GITHUB_TOKEN, or TURNWRIGHT_GITHUB_APP_ID and TURNWRIGHT_GITHUB_PRIVATE_KEY"
        )
    # As text: the standard of JWT knows no other issuer.
    name = AppName(str(app_id), private_key, wall_s=wall_s)
    return API(client, AppTokens(client, name), wall_s=wall_s)
