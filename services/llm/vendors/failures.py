"""What an error of a vendor, its SDK or the network means for repeating the request: one table for all.

A vendor's words are looked at where it gives no code, and never passed on.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpcore2
import httpx2
import msgspec

from services.llm.provider import ErrorKind, ProviderError
from services.llm.status import status_error

# Codes and types of OpenAI, Anthropic, vLLM and llama.cpp, as documented or as seen in their sources.
_KINDS: dict[str, ErrorKind] = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "billing_error": "quota",
    "credit_balance_too_low": "quota",
    "enforced_spend_limit_reached": "quota",
    "contract_spend_limit_reached": "quota",
    "linked_organization_spend_limit_reached": "quota",
    "linked_organization_billing_unavailable": "quota",
    "context_length_exceeded": "context_too_long",
    "exceed_context_size_error": "context_too_long",
    "request_too_large": "context_too_long",
    "overloaded_error": "overloaded",
    "overloaded": "overloaded",
    "server_overloaded": "overloaded",
    "rate_limit_error": "overloaded",
    "rate_limit_exceeded": "overloaded",
    "ramp_limit_exceeded": "overloaded",
    "api_error": "ambiguous",
    "server_error": "ambiguous",
    "timeout_error": "ambiguous",
    "invalid_api_key": "rejected",
    "authentication_error": "rejected",
    "permission_error": "rejected",
    "model_not_found": "rejected",
    "not_found_error": "rejected",
    "content_filter": "rejected",
    "content_policy_violation": "rejected",
    "invalid_request_error": "rejected",
}
_SAYS_NOTHING = "invalid_request_error"
# Anthropic and most servers of open models say these two things in words only.
_PHRASES: tuple[tuple[str, ErrorKind], ...] = (
    ("prompt is too long", "context_too_long"),
    ("maximum context length", "context_too_long"),
    ("exceed context limit", "context_too_long"),
    ("exceeds the context", "context_too_long"),
    ("exceeds the available context", "context_too_long"),
    ("credit balance is too low", "quota"),
    ("usage limits", "quota"),
    ("spend limit", "quota"),
)
_FINER: tuple[ErrorKind, ...] = ("quota", "context_too_long")
_DEPTH = 12


class FaultDetails(msgspec.Struct, frozen=True):
    """What Anthropic adds to some errors."""

    error_code: str | None = None


class Fault(msgspec.Struct, frozen=True):
    """An error as vendors write it, in a body or inside a stream."""

    code: str | int | float | None = None
    type: str | None = None
    message: str | None = None
    details: FaultDetails | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: Fault | str | None = None


def stream_failure(fault: Fault | str) -> ProviderError:
    """The error for one that a vendor reports inside an answer."""
    kind, code = _known(fault if isinstance(fault, Fault) else Fault(message=fault))
    return ProviderError(kind or "ambiguous", code=code or "stream_error")


def failure_of(error: Exception, *, is_started: bool, is_answering: bool) -> ProviderError | None:
    """What `error`, raised while asking, means; None: it is a defect of ours.

    `is_started`: the first byte was let go. `is_answering`: the headers of a good answer have come.
    """
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, ProviderError):
            return each
    for each in chain:
        response = getattr(each, "response", None)
        if isinstance(response, httpx2.Response) and response.status_code != 200:
            return _refused(response)
    for each in chain:
        if isinstance(each, (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL)):
            return ProviderError("rejected", code="bad_request")
    if not any(isinstance(each, httpx2.TransportError) for each in chain):
        return None
    if not is_started:
        return ProviderError("not_sent", code=_why_not_sent(chain))
    if any(isinstance(each, httpx2.TimeoutException) for each in chain):
        return ProviderError("ambiguous", code="idle_timeout")
    return ProviderError("truncated" if is_answering else "ambiguous", code="connection_lost")


def _refused(response: httpx2.Response) -> ProviderError:
    try:
        fault = msgspec.json.decode(response.content, type=_Refusal).error
    except (msgspec.DecodeError, httpx2.ResponseNotRead, RecursionError):
        fault = None
    kind, code = _known(fault if isinstance(fault, Fault) else Fault(message=fault))
    by_status = status_error(
        response.status_code, retry_after=_retry_after(response), kind=kind if kind in _FINER else None
    )
    return ProviderError(by_status.kind, code=code or by_status.code, retry_after_s=by_status.retry_after_s)


def _known(fault: Fault) -> tuple[ErrorKind | None, str]:
    """What the table knows about it, and the code that says most; empty when none is known."""
    codes = (fault.details.error_code if fault.details else None, fault.code, fault.type)
    known = [code for code in codes if isinstance(code, str) and code in _KINDS]
    words = (fault.message or "").lower()
    if not known or _KINDS[known[0]] == "rejected":
        for phrase, kind in _PHRASES:
            if phrase in words:
                return kind, ""
    if not known:
        return None, ""
    return _KINDS[known[0]], "" if known[0] == _SAYS_NOTHING else known[0]


def _retry_after(response: httpx2.Response) -> str:
    precise = response.headers.get("retry-after-ms", "")
    try:
        return str(float(precise) / 1000)
    except ValueError:
        return str(response.headers.get("retry-after", ""))


def _why_not_sent(chain: list[BaseException]) -> str:
    for kind, code in (
        (socket.gaierror, "dns"),
        (ssl.SSLError, "tls"),
        (httpcore2.ProxyError, "proxy"),
        (httpx2.TimeoutException, "connect_timeout"),
    ):
        if any(isinstance(each, kind) for each in chain):
            return code
    return "connect"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it: the SDKs wrap what httpx2 wraps."""
    each: BaseException | None = error
    for _ in range(_DEPTH):
        if each is None:
            return
        yield each
        each = each.__cause__ or each.__context__
