"""What the environment says about the channels people talk through: secrets, tokens, addresses, and what is off."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from services.environment import Environment
from services.variables import Secret, int_between, list_of, secret_of, signing_secret_of, web_url_of

_SLACK_API = "https://slack.com/api"
_GITHUB_API = "https://api.github.com"
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:\[bot\])?")
_PEM = re.compile(r"-----BEGIN (?:RSA )?PRIVATE KEY-----\s.*\s-----END (?:RSA )?PRIVATE KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """`signing_secrets` verify what Slack sends, several while they rotate; `bot_token` is what we speak with."""

    signing_secrets: tuple[Secret, ...] = ()
    bot_token: Secret | None = None
    api_url: str = _SLACK_API

    @property
    def off(self) -> str:
        """Why the channel is off; empty when it is on."""
        return _off(
            {
                "TURNWRIGHT_SLACK_SIGNING_SECRET": bool(self.signing_secrets),
                "TURNWRIGHT_SLACK_BOT_TOKEN": self.bot_token is not None,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubSettings:
    """`webhook_secrets` verify what GitHub sends; we speak with `token`, or as the app `app_id` with `private_key`.

    `login` is who a mention must name, without `@`.
    """

    webhook_secrets: tuple[Secret, ...] = ()
    token: Secret | None = None
    app_id: int | None = None
    private_key: Secret | None = None
    login: str = ""
    api_url: str = _GITHUB_API

    @property
    def off(self) -> str:
        """Why the channel is off; empty when it is on."""
        speaks = self.token is not None or (self.app_id is not None and self.private_key is not None)
        return _off(
            {
                "TURNWRIGHT_GITHUB_WEBHOOK_SECRET": bool(self.webhook_secrets),
                "TURNWRIGHT_GITHUB_TOKEN (or _APP_ID and _PRIVATE_KEY)": speaks,
                "TURNWRIGHT_GITHUB_LOGIN": bool(self.login),
            }
        )

    @property
    def unreconciled(self) -> str:
        """Why GitHub can not be asked what it could not deliver; empty when it can."""
        if self.off:
            return f"GitHub is off, {self.off}"
        if self.app_id is None:
            return "only an app has a log of deliveries, and GitHub is spoken to with a token"
        return ""


SourceSecrets: TypeAlias = Mapping[str, tuple[Secret, ...]]


def slack_settings(reader: Environment) -> SlackSettings:
    """The variables TURNWRIGHT_SLACK_*."""
    return SlackSettings(
        signing_secrets=reader.read_secret("SLACK_SIGNING_SECRET", list_of(secret_of)) or (),
        bot_token=reader.read_secret("SLACK_BOT_TOKEN", secret_of),
        api_url=reader.read("SLACK_API_URL", web_url_of, _SLACK_API),
    )


def github_settings(reader: Environment) -> GitHubSettings:
    """The variables TURNWRIGHT_GITHUB_*."""
    found = GitHubSettings(
        webhook_secrets=reader.read_secret("GITHUB_WEBHOOK_SECRET", list_of(secret_of)) or (),
        token=reader.read_secret("GITHUB_TOKEN", secret_of),
        app_id=reader.read("GITHUB_APP_ID", int_between(1, 999_999_999), None),
        private_key=reader.read_secret("GITHUB_PRIVATE_KEY", _private_key_of),
        login=reader.read("GITHUB_LOGIN", _login_of, ""),
        api_url=reader.read("GITHUB_API_URL", web_url_of, _GITHUB_API),
    )
    if found.token is not None and found.app_id is not None:
        reader.report("GITHUB_TOKEN", "is given beside TURNWRIGHT_GITHUB_APP_ID: keep one")
    return found


def source_secrets(reader: Environment) -> SourceSecrets:
    """TURNWRIGHT_SOURCE_<NAME>_SECRET by name in lower case, `-` for `_`: each a comma list for a rotation."""
    found = {
        name: reader.read_secret(f"SOURCE_{name}_SECRET", list_of(signing_secret_of))
        for name in reader.names("SOURCE_", "_SECRET")
    }
    return {name.lower().replace("_", "-"): secrets for name, secrets in found.items() if secrets}


def _off(wanted: Mapping[str, bool]) -> str:
    missing = [name for name, is_there in wanted.items() if not is_there]
    if not missing:
        return ""
    return f"not set: {', '.join(missing)}"


def _login_of(text: str) -> str:
    login = text.removeprefix("@")
    if not _LOGIN.fullmatch(login):
        raise ValueError("must be a GitHub login, like my-bot or my-bot[bot]")
    return login


def _private_key_of(text: str) -> Secret:
    # Where a variable can not hold lines, \\n stands for their ends.
    pem = text.replace("\\n", "\n").strip()
    if not _PEM.fullmatch(pem):
        raise ValueError("must be a private key in PEM form, as GitHub gives it for download")
    return Secret(pem)
