"""Why an export failed. The official exporters tell that in their log only, with addresses and words of a server.

Of those lines, which are not written, the kind of the error is kept: a status or the name of an exception.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus

_EXPORTERS = "opentelemetry.exporter"
# Its time was over, whatever the reason was.
GAVE_UP = "gave_up"
# Of an answer that made it try again the exporter tells the phrase only, which a server may choose.
_STATUSES = {status.phrase: status.value for status in HTTPStatus}


class Complaints(logging.Handler):
    """Listens to the exporters of this process, which export to `where` (no secret is in it)."""

    def __init__(self, where: str) -> None:
        super().__init__(logging.WARNING)
        self._where, self._last, self._passing = where, "", ""
        logging.getLogger(_EXPORTERS).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what a line says that is safe to repeat. Warnings tell of what was tried again."""
        given = record.args if isinstance(record.args, tuple) else ()
        found = next(filter(None, map(_kind, given)), "")
        if record.levelno < logging.ERROR:
            self._passing = found
        else:
            self._last, self._passing = found or self._passing or GAVE_UP, ""

    def told(self) -> Mapping[str, str]:
        """Where exports go to, and of what kind the last failure was; nothing of what is not known."""
        found = {"to": self._where, "error": self._last}
        return {name: text for name, text in found.items() if text}


def _kind(given: object) -> str:
    match given:
        case BaseException():
            return type(given).__name__
        case Enum():
            return given.name.lower()
        case int() if 100 <= given < 600:
            return f"status {given}"
        case str() if given in _STATUSES:
            return f"status {_STATUSES[given]}"
    return ""
