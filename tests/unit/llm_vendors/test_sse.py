"""Server-sent events out of bytes that come in any portions."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.provider import ProviderError
from services.llm.vendors.sse import ServerEvent, server_events

BODY = b': hi\n\nevent: a\ndata: {"x":\ndata: 1}\nid: 7\n\ndata:[DONE]\r\n\r\nretry: 5\n\ndata: cut'
EVENTS = [ServerEvent("a", b'{"x":\n1}'), ServerEvent("", b"[DONE]")]


@given(cuts=st.lists(st.integers(0, len(BODY))))
def test_events_do_not_depend_on_how_the_bytes_are_portioned(cuts: list[int]) -> None:
    edges = sorted({0, len(BODY), *cuts})
    assert list(server_events(BODY[a:b] for a, b in pairwise(edges))) == EVENTS


def test_an_event_whose_last_line_is_whole_counts_although_the_body_ends() -> None:
    assert list(server_events([b"data: a\n"])) == [ServerEvent("", b"a")]


def test_a_line_that_was_cut_off_does_not_count() -> None:
    assert list(server_events([b"data: a\n\ndata: [DO"])) == [ServerEvent("", b"a")]


@pytest.mark.parametrize("body", [b"<html>\n", b"\x00\xff\n", b'{"error": 1}\n'])
def test_what_is_no_event_stream_is_malformed(body: bytes) -> None:
    with pytest.raises(ProviderError, match="bad_line"):
        list(server_events([body]))


ENDLESS = (b"x" * 1_000_000, b"data: " + b"x" * 1_000_000 + b"\n", b"data:\n" * 100_000)


@pytest.mark.parametrize("part", ENDLESS, ids=("a line", "long lines", "empty lines"))
def test_an_event_without_end_is_malformed(part: bytes) -> None:
    with pytest.raises(ProviderError, match="event_too_large"):
        list(server_events([part] * 20))
