"""What the app must be allowed in Slack: by method, by event. The manifest in `deploy/slack` asks for exactly this.

Source: the scopes that https://docs.slack.dev/reference/methods and /events name for a bot's token.
"""

from __future__ import annotations

from collections.abc import Mapping

# In public and private channels, in conversations of several people, and with one.
_HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")

METHODS: Mapping[str, tuple[str, ...]] = {
    "agents.sessions.setStatus": ("assistant:write", "chat:write"),
    "assistant.threads.setStatus": ("assistant:write",),
    "auth.test": (),
    "chat.postMessage": ("chat:write",),
    "conversations.history": _HISTORY,
    "conversations.replies": _HISTORY,
    "reactions.add": ("reactions:write",),
    "reactions.remove": ("reactions:write",),
    "users.info": ("users:read",),
}
EVENTS: Mapping[str, tuple[str, ...]] = {
    "agent_session_stopped": (),
    "app_mention": ("app_mentions:read",),
    "app_uninstalled": (),
    "message.channels": ("channels:history",),
    "message.groups": ("groups:history",),
    "message.im": ("im:history",),
    "message.mpim": ("mpim:history",),
    "tokens_revoked": (),
}
COMMANDS = ("commands",)


def scopes() -> frozenset[str]:
    """All of them."""
    needed = (*METHODS.values(), *EVENTS.values(), COMMANDS)
    return frozenset(scope for each in needed for scope in each)
