"""Whose workspace the bot's token of Slack is for: asked of Slack itself, for `turnwright doctor`."""

from __future__ import annotations

from services.channel_settings import SlackSettings
from services.channels.brief import Brief
from services.channels.contract import DeliveryError
from services.errors import ConfigurationError

TIMEOUT_S = 5.0
_TOKEN = "TURNWRIGHT_SLACK_BOT_TOKEN"
_WHY = {
    "invalid_auth": f"does not know {_TOKEN}: copy it from OAuth & Permissions of the app",
    "not_authed": f"does not know {_TOKEN}: copy it from OAuth & Permissions of the app",
    "not_allowed_token_type": f"wants a bot's token in {_TOKEN}, which begins with xoxb-",
    "token_revoked": f"says that {_TOKEN} was revoked: install the app again",
    "token_expired": f"says that {_TOKEN} expired: install the app again",
    "dns_failed": "can not be found: check the network, and TURNWRIGHT_SLACK_API_URL",
    "dns_timeout": "can not be found in time: check the network, and TURNWRIGHT_SLACK_API_URL",
    "account_inactive": "says that the app was removed from the workspace: install it again",
}


def workspace_of(settings: SlackSettings) -> tuple[bool, str]:
    """Whether Slack knows us, and a sentence: in which workspace, or what is to be done. Only where Slack is on."""
    from services.channels.slack.client import SlackClient
    from services.channels.slack.facts import identity

    assert settings.bot_token is not None
    try:
        client = SlackClient(settings.bot_token, api_url=settings.api_url)
    except ConfigurationError as error:
        return False, str(error)
    try:
        found = identity(client, Brief(), timeout_s=TIMEOUT_S)
    except DeliveryError as error:
        code = error.code or error.kind
        return False, f"Slack {_WHY.get(code, f'can not be asked who we are ({code})')}"
    finally:
        client.close()
    whose = f"{found.team_name} ({found.team})" if found.team_name else found.team
    return True, f"speaks in the workspace {whose}; what comes from any other is refused"
