"""Reads the answers of one connection: the status, the headers, and where each answer ends.

The grammar is llhttp's, by way of `httptools`; what is bounded here are the sizes it leaves open. Bodies are kept for
who wants them only.
"""

from __future__ import annotations

import httptools

# For the head of an answer and those of all interim (1xx) ones before it together.
HEAD_LIMIT = 102_400
FIELDS_LIMIT = 256


class Malformed(Exception):
    """What came is no answer, ended before it was one, or has a head beyond all measure."""


class AnswerReader:
    """Reads one answer from each `begin` to the next; one instance for each connection.

    `status` is 0 until the head is there; interim answers are passed over. `is_over`: nothing more is to be
    read. `may_go_on`: the answer ended where it had to, and another may follow on the same connection.
    `body_bytes` is what came after the piece that completed the head, framing included. `body` is what there is of
    it where it is kept, and `is_whole` once it ended as it had said it would.
    """

    def __init__(self) -> None:
        # For the whole connection, because parser and listener refer to each other: garbage only with its end.
        self._parser = httptools.HttpResponseParser(self)
        # Folded headers, bare line feeds, two statements of length: dangerous where several readers share what
        # is said. Here nobody else reads, and a 2xx of a quaint receiver is a 2xx.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_chunked_length=True
        )
        self.begin()

    def begin(self, *, keeps_body: bool = False) -> None:
        """What is fed from now on is the next answer."""
        self.status = 0
        self.body = bytearray()
        self.is_whole = False
        self._keeps_body = keeps_body
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_over = self.may_go_on = False
        self.body_bytes = self._head_bytes = 0

    def feed(self, data: bytes) -> None:
        """Read on. No data is the end of the connection. Raises: Malformed, only while `status` is 0."""
        if self.status:
            self.body_bytes += len(data)
        elif self._head_bytes or data.startswith(b"H"):
            self._head_bytes += len(data)
        else:
            # The parser knows other protocols too; none of them begins like HTTP.
            raise Malformed
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._stop()
        if not data or (self._head_bytes > HEAD_LIMIT and not self.status):
            self._stop()

    def on_message_begin(self) -> None:
        """An answer begins. Raises: Malformed when nobody asked for it."""
        if self.is_over:
            raise Malformed

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which means nothing. Raises: Malformed when there are too many."""
        if self.status:
            return
        if len(self.headers) == FIELDS_LIMIT:
            raise Malformed
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is complete. Raises: Malformed for a change of protocol, which nobody offered."""
        status = self._parser.get_status_code()
        if status < 100 or status == 101:
            raise Malformed
        if status < 200:
            self.headers.clear()
        else:
            self.status = status

    def on_body(self, piece: bytes) -> None:
        """A piece of a body."""
        if self._keeps_body:
            self.body += piece

    def on_message_complete(self) -> None:
        """An answer is complete, perhaps an interim one."""
        if self.status:
            self.is_over = self.is_whole = True
            self.may_go_on = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"

    def _stop(self) -> None:
        if not self.status:
            raise Malformed
        self.is_over, self.may_go_on = True, False
