"""In whose name GitHub is spoken to: asked of GitHub itself, for `turnwright doctor`."""

from __future__ import annotations

from services.channel_settings import GitHubSettings
from services.channels.contract import DeliveryError
from services.channels.github.mentions import is_login
from services.channels.github.within import Within
from services.errors import ConfigurationError

TIMEOUT_S = 5.0
_WHY = {
    "bad_credentials": "does not believe us: the token was revoked or expired, or the key is none of this app's",
    "no_permission": "does not tell this token whose it is",
    "dns": "can not be found: check the network, and TURNWRIGHT_GITHUB_API_URL",
    "connect_failed": "can not be reached: check the network, and TURNWRIGHT_GITHUB_API_URL",
}


def account_of(settings: GitHubSettings) -> tuple[bool, str]:
    """Whether GitHub knows us as who is called, and a sentence: as whom, or what is to be done. Only where it is on."""
    from services.channels.github.access import api_for

    try:
        api = api_for(
            settings.api_url,
            token=settings.token,
            app_id=settings.app_id,
            private_key=settings.private_key,
        )
    except ConfigurationError as error:
        return False, str(error)
    try:
        login = api.login(Within(TIMEOUT_S))
    except DeliveryError as error:
        code = error.code or error.kind
        return False, f"GitHub {_WHY.get(code, f'can not be asked who we are ({code})')}"
    finally:
        api.client.close()
    if not is_login(login, settings.login):
        return (
            False,
            f"writes as {login}, but is called as @{settings.login}: set TURNWRIGHT_GITHUB_LOGIN to {login}",
        )
    return True, f"writes as {login}; whoever may write to a repository can call @{settings.login} there"
