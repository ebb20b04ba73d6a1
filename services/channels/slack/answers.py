"""What an answer of Slack's Web API means, by its status, its `ok` and its error code.

A code that is not listed is never repeated to anybody: it is text from outside.
Source: https://docs.slack.dev/reference/methods/chat.postMessage (errors)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from services.channels.contract import DeliveryError
from services.channels.slack.transport import Answer

LONGEST_RETRY_AFTER_S = 86_400.0

# Mended by who runs the app or the workspace, if at all: until then it is tried again.
_FOR_NOW = frozenset(
    {
        "access_denied",
        "accesslimited",
        "account_inactive",
        "app_access_restricted",
        "ekm_access_denied",
        "enterprise_is_restricted",
        "external_channel_migrating",
        "invalid_auth",
        "messages_tab_disabled",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "org_login_required",
        "request_timeout",
        "team_access_not_granted",
        "team_added_to_org",
        "token_expired",
        "token_revoked",
        "two_factor_setup_required",
    }
)
# Slack says of these that some of it may have been done.
_DOUBTFUL = frozenset({"fatal_error", "internal_error", "service_unavailable"})
_OVERLOADED = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited"})
# The thread is no more and never will be again.
_GONE = frozenset({"thread_not_found"})
# This letter can not be said there; another one, or later, may be.
_REFUSED = frozenset(
    {
        "agent_prompt_display_not_allowed",
        "already_reacted",
        "as_user_not_supported",
        "attachment_payload_limit_exceeded",
        "bad_timestamp",
        "cannot_reply_to_message",
        "cant_update_message",
        "channel_not_found",
        "channel_type_not_supported",
        "deprecated_endpoint",
        "duplicate_channel_not_found",
        "duplicate_message_not_found",
        "expired_url",
        "invalid_arg_name",
        "invalid_arguments",
        "invalid_array_arg",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_charset",
        "invalid_cursor",
        "invalid_form_data",
        "invalid_json",
        "invalid_limit",
        "invalid_metadata_format",
        "invalid_metadata_schema",
        "invalid_name",
        "invalid_post_type",
        "invalid_thread_ts",
        "invalid_ts_latest",
        "invalid_ts_oldest",
        "is_archived",
        "json_not_object",
        "markdown_text_conflict",
        "message_not_found",
        "metadata_must_be_sent_from_app",
        "metadata_too_large",
        "method_deprecated",
        "missing_file_data",
        "missing_post_type",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_reaction",
        "no_text",
        "not_in_channel",
        "not_reactable",
        "restricted_action",
        "restricted_action_non_threadable_channel",
        "restricted_action_read_only_channel",
        "restricted_action_thread_locked",
        "restricted_action_thread_only_channel",
        "send_on_behalf_not_allowed",
        "slack_connect_canvas_sharing_blocked",
        "slack_connect_file_link_sharing_blocked",
        "slack_connect_lists_sharing_blocked",
        "team_not_found",
        "thread_locked",
        "too_many_attachments",
        "too_many_contact_cards",
        "too_many_emoji",
        "too_many_reactions",
        "unknown_method",
        "used_url",
        "user_not_found",
        "user_not_visible",
    }
)

_seconds = re.compile(r"[0-9]{1,9}", re.ASCII)


class _Verdict(msgspec.Struct, frozen=True):
    ok: bool
    error: str = ""


def judged(answer: Answer) -> Mapping[str, object]:
    """What a method answered. Raises: DeliveryError for everything but an `ok`."""
    if answer.status == 429:
        raise _overloaded(answer, "ratelimited")
    if answer.status >= 500:
        # Slack is known to do the work first.
        raise DeliveryError("ambiguous", code=f"http_{answer.status}", status=answer.status)
    try:
        verdict = msgspec.json.decode(answer.body, type=_Verdict)
        found = msgspec.json.decode(answer.body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _unreadable(answer) from None
    if verdict.ok and answer.status < 300:
        return found
    raise _error(answer, verdict.error)


def judged_post(answer: Answer) -> None:
    """What a response URL answered: it takes JSON and says `ok`, as text. Raises: DeliveryError."""
    if 200 <= answer.status < 300 and answer.body.strip() in (b"ok", b""):
        return
    if answer.status in (404, 410):
        # Used up, or older than half an hour.
        raise DeliveryError("gone", code="expired_url", status=answer.status)
    judged(answer)


def _error(answer: Answer, error: str) -> DeliveryError:
    status = answer.status
    if error in _OVERLOADED:
        return _overloaded(answer, error)
    if error in _DOUBTFUL:
        return DeliveryError("ambiguous", code=error, status=status)
    if error in _GONE:
        return DeliveryError("gone", code=error, status=status)
    if error in _REFUSED:
        return DeliveryError("refused", code=error, status=status)
    return DeliveryError("rejected", code=error if error in _FOR_NOW else "unknown_error", status=status)


def _overloaded(answer: Answer, code: str) -> DeliveryError:
    text = answer.headers.get("retry-after", "").strip()
    after_s = min(float(text), LONGEST_RETRY_AFTER_S) if _seconds.fullmatch(text) else None
    return DeliveryError(
        "overloaded", code=code, status=answer.status, retry_after_s=after_s, is_limit=after_s is not None
    )


def _unreadable(answer: Answer) -> DeliveryError:
    if answer.status >= 300:
        return DeliveryError("rejected", code=f"http_{answer.status}", status=answer.status)
    # Somebody in between spoke: nobody knows whether Slack was reached.
    return DeliveryError("ambiguous", code="not_json", status=answer.status)
