"""The methods of the stand-in for Slack: what each does, and what it rejects as the real one does.

Names and parameters are those of `slack_sdk.WebClient`: a test that uses another is told so.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from slack_sdk import WebClient

from tests.fakes.slack_blocks import MARKDOWN_LIMIT, are_blocks, markdown_width
from tests.fakes.slack_workspace import APP, BOT, BOT_USER, TEAM, Channel, Message, SlackError, Workspace

TEXT_LIMIT = 40_000
PAGE_LIMIT = 1_000
METADATA_LIMIT = 16_000
STATUSES = ("active", "processing", "suspended", "closed")

Params = Mapping[str, Any]
Method = Callable[[Workspace, Params], dict[str, Any]]


@cache
def parameters(method: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names of all parameters of a method and of the required ones. Raises: AttributeError for an unknown one."""
    signature = inspect.signature(getattr(WebClient, method.replace(".", "_")))
    named = [each for each in signature.parameters.values() if each.kind is each.KEYWORD_ONLY]
    needed = [each.name for each in named if each.default is each.empty]
    return frozenset(each.name for each in named), frozenset(needed)


def post_message(workspace: Workspace, params: Params) -> dict[str, Any]:
    """chat.postMessage."""
    channel = _writable(workspace, params["channel"])
    thread_ts = params.get("thread_ts", "")
    if thread_ts and thread_ts not in channel.messages:
        raise SlackError("thread_not_found")
    message = Message(
        ts=workspace.next_ts(),
        channel=channel.id,
        user=BOT_USER,
        bot_id=BOT,
        thread_ts=thread_ts,
        **_content(params),
    )
    channel.messages[message.ts] = message
    return {"channel": channel.id, "ts": message.ts, "message": message.shown(with_metadata=True)}


def post_ephemeral(workspace: Workspace, params: Params) -> dict[str, Any]:
    """chat.postEphemeral: nobody else sees it, and it is not read back."""
    _writable(workspace, params["channel"])
    if params["user"] not in workspace.users:
        raise SlackError("user_not_in_channel")
    _content(params)
    return {"message_ts": workspace.next_ts()}


def update(workspace: Workspace, params: Params) -> dict[str, Any]:
    """chat.update, of a message of the app."""
    message = workspace.message(_writable(workspace, params["channel"]).id, params["ts"])
    if message.bot_id != BOT:
        raise SlackError("cant_update_message")
    content = _content(params)
    message.text, message.blocks, message.edited = content["text"], content["blocks"], True
    message.metadata = content["metadata"] or message.metadata
    return {"channel": message.channel, "ts": message.ts, "text": message.text}


def delete(workspace: Workspace, params: Params) -> dict[str, Any]:
    """chat.delete, of a message of the app."""
    message = workspace.message(_writable(workspace, params["channel"]).id, params["ts"])
    if message.bot_id != BOT:
        raise SlackError("cant_delete_message")
    workspace.delete(message)
    return {"channel": message.channel, "ts": message.ts}


def replies(workspace: Workspace, params: Params) -> dict[str, Any]:
    """conversations.replies: the first message of a thread, then its replies between `oldest` and `latest`."""
    channel = _readable(workspace, params["channel"])
    first = channel.messages.get(params["ts"])
    if first is None:
        raise SlackError("thread_not_found")
    replies = [each for each in workspace.thread(channel.id, first.ts) if _is_between(each, params)]
    page, cursor = _paged(replies, params)
    found = [each.shown(with_metadata=_flag(params, "include_all_metadata")) for each in (first, *page)]
    return {"messages": found, "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}


def history(workspace: Workspace, params: Params) -> dict[str, Any]:
    """conversations.history: what is in no thread, newest first."""
    channel = _readable(workspace, params["channel"])
    top = [each for each in channel.messages.values() if not each.thread_ts and _is_between(each, params)]
    page, cursor = _paged(sorted(top, key=lambda each: each.ts, reverse=True), params)
    found = [each.shown(with_metadata=_flag(params, "include_all_metadata")) for each in page]
    return {"messages": found, "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}


def conversation(workspace: Workspace, params: Params) -> dict[str, Any]:
    """conversations.info."""
    channel = workspace.found(params["channel"])
    _need(workspace, f"{channel.kind}:read")
    facts = {"id": channel.id, "name": channel.id.lower(), "is_im": channel.kind == "im"}
    return {"channel": facts | {"is_archived": channel.is_archived, "is_member": channel.is_member}}


def react(workspace: Workspace, params: Params) -> dict[str, Any]:
    """reactions.add."""
    message = workspace.message(_writable(workspace, params["channel"]).id, params["timestamp"])
    by = message.reactions.setdefault(params["name"], set())
    if BOT_USER in by:
        raise SlackError("already_reacted")
    by.add(BOT_USER)
    return {}


def unreact(workspace: Workspace, params: Params) -> dict[str, Any]:
    """reactions.remove."""
    message = workspace.message(_writable(workspace, params["channel"]).id, params["timestamp"])
    by = message.reactions.get(params["name"], set())
    if BOT_USER not in by:
        raise SlackError("no_reaction")
    by.remove(BOT_USER)
    return {}


def assistant_status(workspace: Workspace, params: Params) -> dict[str, Any]:
    """assistant.threads.setStatus; an empty one takes it away."""
    workspace.message(_writable(workspace, params["channel_id"]).id, params["thread_ts"])
    workspace.assistant_statuses[params["channel_id"], params["thread_ts"]] = params["status"]
    return {}


def session_status(workspace: Workspace, params: Params) -> dict[str, Any]:
    """agents.sessions.setStatus, which begins a session where there is none."""
    if params["status"] not in STATUSES:
        raise SlackError("invalid_arguments")
    workspace.message(_writable(workspace, params["channel_id"]).id, params.get("thread_ts", ""))
    workspace.statuses[params["channel_id"], params["thread_ts"]] = params["status"]
    return {"status": params["status"]}


def auth_test(workspace: Workspace, params: Params) -> dict[str, Any]:
    """auth.test."""
    who = {"user": "turnwright", "user_id": BOT_USER, "bot_id": BOT, "app_id": APP}
    return {"url": "https://acme.slack.com/", "team": "Acme", "team_id": TEAM, **who}


def user(workspace: Workspace, params: Params) -> dict[str, Any]:
    """users.info."""
    if params["user"] not in workspace.users:
        raise SlackError("user_not_found")
    name = workspace.users[params["user"]]
    profile = {"display_name": name, "real_name": name.title()}
    return {
        "user": {"id": params["user"], "name": name, "is_bot": params["user"] == BOT_USER, "profile": profile}
    }


def bot(workspace: Workspace, params: Params) -> dict[str, Any]:
    """bots.info."""
    if params.get("bot") != BOT:
        raise SlackError("bot_not_found")
    return {"bot": {"id": BOT, "app_id": APP, "user_id": BOT_USER, "name": "turnwright", "deleted": False}}


# With the scopes of which one is needed.
METHODS: Mapping[str, tuple[Method, tuple[str, ...]]] = {
    "agents.sessions.setStatus": (session_status, ("chat:write",)),
    "assistant.threads.setStatus": (assistant_status, ("assistant:write", "chat:write")),
    "auth.test": (auth_test, ()),
    "bots.info": (bot, ("users:read",)),
    "chat.delete": (delete, ("chat:write",)),
    "chat.postEphemeral": (post_ephemeral, ("chat:write",)),
    "chat.postMessage": (post_message, ("chat:write",)),
    "chat.update": (update, ("chat:write",)),
    "conversations.history": (history, ()),
    "conversations.info": (conversation, ()),
    "conversations.replies": (replies, ()),
    "reactions.add": (react, ("reactions:write",)),
    "reactions.remove": (unreact, ("reactions:write",)),
    "users.info": (user, ("users:read",)),
}


def _writable(workspace: Workspace, id: str) -> Channel:
    channel = workspace.found(id)
    if channel.is_archived:
        raise SlackError("is_archived")
    if not channel.is_member:
        raise SlackError("not_in_channel")
    return channel


def _readable(workspace: Workspace, id: str) -> Channel:
    channel = workspace.found(id)
    if not channel.is_member:
        raise SlackError("not_in_channel")
    _need(workspace, f"{channel.kind}:history")
    return channel


def _need(workspace: Workspace, scope: str) -> None:
    if scope not in workspace.scopes:
        raise SlackError("missing_scope", needed=scope, provided=",".join(sorted(workspace.scopes)))


def _content(params: Params) -> dict[str, Any]:
    text, blocks = params.get("text") or params.get("markdown_text") or "", params.get("blocks") or []
    if not (text or blocks or params.get("attachments")):
        raise SlackError("no_text")
    if len(text) > (MARKDOWN_LIMIT if params.get("markdown_text") else TEXT_LIMIT):
        raise SlackError("msg_too_long")
    if not are_blocks(blocks):
        raise SlackError("invalid_blocks")
    if markdown_width(blocks) > MARKDOWN_LIMIT:
        raise SlackError("msg_blocks_too_long")
    return {"text": text, "blocks": blocks, "metadata": _metadata(params.get("metadata"))}


def _metadata(given: object) -> dict[str, Any] | None:
    if given is None:
        return None
    if not isinstance(given, dict) or given.keys() != {"event_type", "event_payload"}:
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(given)) > METADATA_LIMIT:
        raise SlackError("metadata_too_large")
    return given


def _flag(params: Params, name: str) -> bool:
    return str(params.get(name, "0")).lower() in ("1", "true")


def _is_between(message: Message, params: Params) -> bool:
    oldest, latest = float(params.get("oldest") or 0), float(params.get("latest") or "inf")
    at = float(message.ts)
    return oldest <= at <= latest if _flag(params, "inclusive") else oldest < at < latest


def _paged(messages: list[Message], params: Params) -> tuple[list[Message], str]:
    limit = min(int(params.get("limit") or 100), PAGE_LIMIT)
    cursor = params.get("cursor") or "after:0"
    if not cursor.startswith("after:"):
        raise SlackError("invalid_cursor")
    start = int(cursor.removeprefix("after:"))
    more = len(messages) > start + limit
    return messages[start : start + limit], f"after:{start + limit}" if more else ""
