"""What errors mean, by status, code, type and words."""

from __future__ import annotations

import httpx2
import msgspec
import pytest

from services.llm.provider import ProviderError
from services.llm.vendors.failures import Fault, failure_of, stream_failure

Json = dict[str, object]


class SDKStatusError(Exception):
    """As both SDKs' errors are: it holds the response."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__("canary")
        self.response = response


def refused(status: int, error: object, **headers: str) -> ProviderError:
    body = msgspec.json.encode({"error": error})
    response = httpx2.Response(status, content=body, headers=headers)
    failure = failure_of(SDKStatusError(response), is_started=True, is_answering=False)
    assert failure is not None
    return failure


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (429, {"type": "insufficient_quota", "code": "insufficient_quota"}, "quota", "insufficient_quota"),
        (429, {"type": "tokens", "code": "rate_limit_exceeded"}, "overloaded", "rate_limit_exceeded"),
        (
            400,
            {"type": "invalid_request_error", "code": "context_length_exceeded"},
            "context_too_long",
            "context_length_exceeded",
        ),
        (
            400,
            {"type": "BadRequestError", "code": 400, "message": "This model's maximum context length is 8"},
            "context_too_long",
            "http_400",
        ),
        (400, {"type": "exceed_context_size_error"}, "context_too_long", "exceed_context_size_error"),
        (
            400,
            {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"},
            "context_too_long",
            "http_400",
        ),
        (
            400,
            {"type": "invalid_request_error", "message": "Your credit balance is too low to access"},
            "quota",
            "http_400",
        ),
        (
            400,
            {"type": "invalid_request_error", "details": {"error_code": "enforced_spend_limit_reached"}},
            "quota",
            "enforced_spend_limit_reached",
        ),
        (402, {"type": "billing_error"}, "quota", "billing_error"),
        (404, {"type": "invalid_request_error", "code": "model_not_found"}, "rejected", "model_not_found"),
        (401, {"type": "authentication_error"}, "rejected", "authentication_error"),
        (529, {"type": "overloaded_error"}, "overloaded", "overloaded_error"),
        (503, {"type": "server_error"}, "overloaded", "server_error"),
        (500, {"type": "api_error"}, "ambiguous", "api_error"),
        (400, "context length", "rejected", "http_400"),
        (400, {"code": 1.5, "type": None}, "rejected", "http_400"),
        (418, {"type": "canary", "code": "canary", "message": "canary"}, "rejected", "http_418"),
    ],
)
def test_a_refusal_means(status: int, error: object, kind: str, code: str) -> None:
    failure = refused(status, error)
    assert (failure.kind, failure.code) == (kind, code)


def test_the_more_precise_of_two_retry_headers_counts() -> None:
    assert refused(429, {}, **{"retry-after": "1", "retry-after-ms": "650"}).retry_after_s == 0.65
    assert refused(429, {}, **{"retry-after": "2", "retry-after-ms": "soon"}).retry_after_s == 2


def test_an_error_inside_a_stream_is_ambiguous_unless_it_is_known() -> None:
    assert stream_failure("canary").code == "stream_error"
    assert stream_failure(Fault(type="insufficient_quota")).kind == "quota"
    assert stream_failure(Fault(message="canary")).kind == "ambiguous"


REQUEST = httpx2.Request("POST", "http://x")


@pytest.mark.parametrize(
    ("error", "is_started", "is_answering", "kind"),
    [
        (httpx2.ConnectError("x"), False, False, "not_sent"),
        (httpx2.PoolTimeout("x"), False, False, "not_sent"),
        (httpx2.ProxyError("x"), False, False, "not_sent"),
        (httpx2.ReadError("x"), True, False, "ambiguous"),
        (httpx2.WriteTimeout("x"), True, False, "ambiguous"),
        (httpx2.ReadTimeout("x"), True, True, "ambiguous"),
        (httpx2.RemoteProtocolError("x"), True, True, "truncated"),
        (httpx2.UnsupportedProtocol("x"), False, False, "rejected"),
        (httpx2.LocalProtocolError("x"), False, False, "rejected"),
    ],
)
def test_a_failure_of_the_network_means(
    error: httpx2.TransportError, is_started: bool, is_answering: bool, kind: str
) -> None:
    error.request = REQUEST
    try:
        raise RuntimeError("canary") from error
    except RuntimeError as wrapped:
        failure = failure_of(wrapped, is_started=is_started, is_answering=is_answering)
    assert failure is not None
    assert failure.kind == kind
    assert "canary" not in str(failure)


def test_what_we_raised_below_the_sdk_comes_out_above_it() -> None:
    try:
        raise RuntimeError from ProviderError("malformed", code="answer_too_large")
    except RuntimeError as wrapped:
        failure = failure_of(wrapped, is_started=True, is_answering=True)
    assert failure is not None
    assert (failure.kind, failure.code) == ("malformed", "answer_too_large")


def test_a_defect_is_no_failure_of_the_vendor() -> None:
    assert failure_of(TypeError("x"), is_started=True, is_answering=False) is None
