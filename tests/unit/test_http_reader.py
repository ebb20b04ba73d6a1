"""How answers to callbacks are read: what is one, where it ends, whether another may follow."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channels.http.reader import FIELDS_LIMIT, HEAD_LIMIT, AnswerReader, Malformed

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"

# What is said, its status, and whether another answer may follow on the same connection.
ANSWERS: dict[bytes, tuple[int, bool]] = {
    OK + b"content-length: 2\r\n\r\nok": (200, True),
    OK + b"Content-Length: 0\r\nX-Empty:\r\n\r\n": (200, True),
    b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n": (200, True),
    b"HTTP/1.1 204 No Content\r\n\r\n": (204, True),
    b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n": (204, True),
    b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n": (304, True),
    b"HTTP/1.1 503 \xc4\xd6\xdc\r\nx: \xff\r\ncontent-length: 0\r\n\r\n": (503, True),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: a\r\n\r\n"
    + OK
    + b"content-length: 0\r\n\r\n": (200, True),
    CHUNKED + b"2\r\nok\r\n1;why=not\r\n!\r\n0\r\n\r\n": (200, True),
    CHUNKED + b"2\r\nok\r\n0\r\nretry-after: 7\r\nx-sum: 1\r\n\r\n": (200, True),
    OK + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n": (200, True),
    # Quaint, yet they were always taken: bare line feeds and folded headers.
    b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok": (200, True),
    OK + b"x-a: a\r\n  b\r\ncontent-length: 0\r\n\r\n": (200, True),
    # It is over with the connection, or so it says.
    OK + b"\r\nuntil the end": (200, False),
    OK + b"connection: close\r\ncontent-length: 2\r\n\r\nok": (200, False),
    b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok": (200, False),
    b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok": (200, False),
    b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n": (200, False),
    # It ends too early, or lies about its length.
    OK + b"content-length: 5\r\n\r\nok": (200, False),
    CHUNKED + b"5\r\nok": (200, False),
    CHUNKED + b"2\r\nok\r\n": (200, False),
    CHUNKED + b"2\r\nok\r\n0\r\n": (200, False),
    CHUNKED + b"1\r\nok\r\n0\r\n\r\n": (200, False),
    CHUNKED + b"-1\r\nok\r\n0\r\n\r\n": (200, False),
    CHUNKED + b"\r\n0\r\n\r\n": (200, False),
    CHUNKED + b"fffffffffffffffffffff\r\nok\r\n0\r\n\r\n": (200, False),
}

NO_ANSWERS = [
    b"",
    b"HTTP/1.1 200 OK",
    OK + b"content-length: 2\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"NOT HTTP AT ALL\r\n\r\n",
    b"HTTP/1.1 \r\n\r\n",
    b"HTTP/1.1 99 Low\r\n\r\n",
    b"HTTP/1.1 000 Nought\r\n\r\n",
    b"HTTP/1.1 2000 High\r\n\r\n",
    b"HTTP/1.1 2x0 OK\r\n\r\n",
    b"HTTP/1.1  200 OK\r\n\r\n",
    b"HTTP/x.1 200 OK\r\n\r\n",
    b"http/1.1 200 OK\r\n\r\n",
    b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"RTSP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"ICE/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: example.org\r\ncontent-length: 0\r\n\r\n",
    b"\x16\x03\x01\x00\x05hello",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nwhatever",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\nwhatever",
    OK + b"no colon\r\n\r\n",
    OK + b": no name\r\n\r\n",
    OK + b"content-length: -2\r\n\r\nok",
    OK + b"content-length: +2\r\n\r\nok",
    OK + b"content-length: 99999999999999999999999\r\n\r\nok",
    OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok",
]


def read(pieces: Iterable[bytes], reader: AnswerReader | None = None) -> AnswerReader:
    """Feed `pieces` as a connection would, and then its end. Raises: Malformed."""
    reader = reader or AnswerReader()
    reader.begin()
    for each in (*pieces, b""):
        if not reader.is_over:
            reader.feed(each)
    return reader


def result(pieces: Iterable[bytes]) -> tuple[int, bool] | None:
    """Status and whether another may follow; None for no answer."""
    try:
        reader = read(pieces)
    except Malformed:
        return None
    return reader.status, reader.may_go_on


def in_two(said: bytes) -> Iterable[tuple[bytes, bytes]]:
    """`said`, cut at each of its bytes."""
    return [(said[:at], said[at:]) for at in range(1, len(said))]


def one_by_one(said: bytes) -> list[bytes]:
    """`said` a byte at a time."""
    return [bytes([each]) for each in said]


@pytest.mark.parametrize("said", ANSWERS)
def test_an_answer_means_the_same_however_it_is_cut(said: bytes) -> None:
    expected = ANSWERS[said]

    assert result([said]) == expected
    assert result(one_by_one(said)) == expected
    assert {result(cut) for cut in in_two(said)} == {expected}


@pytest.mark.parametrize("said", NO_ANSWERS)
def test_what_is_no_answer_is_none_however_it_is_cut(said: bytes) -> None:
    assert result([said]) is None
    assert result(one_by_one(said)) is None
    assert all(result(cut) is None for cut in in_two(said))


def test_headers_are_whole_however_they_are_cut() -> None:
    said = b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nx-folded: a\r\n b\r\ncontent-length: 0\r\n\r\n"

    for cut in (one_by_one(said), *in_two(said)):
        headers = read(cut).headers
        assert headers[0] == (b"Retry-After", b"120")
        assert [name for name, _ in headers] == [b"Retry-After", b"x-folded", b"content-length"]


def test_headers_of_interim_answers_and_trailers_are_nobodys() -> None:
    said = (
        b"HTTP/1.1 103 Hints\r\nretry-after: 1\r\n\r\n"
        + b"HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n0\r\nretry-after: 2\r\n\r\n"
    )

    assert read([said]).headers == [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize(
    "surplus", [OK + b"content-length: 0\r\n\r\n", b"HTTP/1.1 500 No\r\n\r\n", b"x", b"\0"]
)
def test_what_follows_an_answer_unasked_changes_nothing_but_ends_the_connection(surplus: bytes) -> None:
    said = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok"

    assert result([said + surplus]) == (202, False)


def test_answers_of_one_connection_are_read_one_after_another() -> None:
    reader = AnswerReader()

    for said, (status, may_go_on) in ANSWERS.items():
        if may_go_on:
            read([said], reader)
            assert (reader.status, reader.may_go_on) == (status, True), said


@pytest.mark.parametrize(
    "beyond",
    [
        OK + b"x: " + b"a" * HEAD_LIMIT,
        OK + b"a" * HEAD_LIMIT,
        b"HTTP/1.1 200 " + b"a" * HEAD_LIMIT,
        b"HTTP/1.1 100 Continue\r\n\r\n" * (HEAD_LIMIT // 25 + 1),
        OK + b"a: b\r\n" * (FIELDS_LIMIT + 2),
    ],
    ids=["value", "name", "reason", "interim", "fields"],
)
@pytest.mark.parametrize("piece", [1, 1000, 16_384])
def test_a_head_beyond_all_measure_is_not_waited_for(beyond: bytes, piece: int) -> None:
    reader = AnswerReader()

    def feed() -> None:
        for at in range(0, len(beyond), piece):
            reader.feed(beyond[at : at + piece])

    with pytest.raises(Malformed):
        feed()


def test_as_many_headers_as_are_allowed_are_read() -> None:
    assert len(read([OK + b"a: b\r\n" * FIELDS_LIMIT + b"\r\n"]).headers) == FIELDS_LIMIT


@st.composite
def damaged(draw: st.DrawFn) -> list[bytes]:
    """An answer with some bytes replaced, inserted or left out, in pieces."""
    said = bytearray(draw(st.sampled_from(list(ANSWERS))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(said)))
        said[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    cuts = sorted(draw(st.lists(st.integers(0, len(said)), max_size=5)))
    return [bytes(said[a:b]) for a, b in zip([0, *cuts], [*cuts, len(said)], strict=True) if a < b]


@given(pieces=damaged())
def test_whatever_comes_is_an_answer_or_none_and_its_cuts_do_not_matter(pieces: list[bytes]) -> None:
    cut, whole = result(pieces), result([b"".join(pieces)])

    assert (cut and cut[0]) == (whole and whole[0])
