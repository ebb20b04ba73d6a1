"""Who is called by name in a text: read in what people write, taken out of what a model writes."""

from __future__ import annotations

import re
from functools import lru_cache

from services.channels.github.markdown import pieces, words

BOT = "[bot]"
# Between the sign and the name: it looks the same, and calls nobody.
_PAUSE = "\u200b"
# As GitHub looks for names in the finished page: there an entity is its letter, and nothing but a letter or a digit
# before the sign makes it an address. Behind a name, `&` and a backslash may go on with it.
_any = re.compile(
    r"(?<![A-Za-z0-9])(@|&#0*64;|&#x0*40;|&commat;)(?=([A-Za-z0-9][\w-]*|&)([/&\\]?))", re.IGNORECASE
)
_hidden = re.compile(r"<!--")


def is_login(login: str, name: str) -> bool:
    """Whether the account `login` is `name`: upper and lower case are the same, an app's account ends in `[bot]`."""
    return bool(name) and _plain(login) == _plain(name)


def mentions(text: str, name: str) -> bool:
    """Whether `text` calls `name`, a whole word behind `@`, neither in code nor in a quotation nor hidden."""
    return bool(name) and _of(_plain(name)).search(words(text)) is not None


def without_calls(text: str, *, author: str = "", spares_code: bool = True) -> str:
    """`text` such that it calls nobody but `author`, hides nothing of itself, and leaves code as it is if it
    `spares_code`."""
    if not spares_code:
        return _calm(text, author)
    return "".join(piece.text if piece.is_code else _calm(piece.text, author) for piece in pieces(text))


def _calm(text: str, author: str) -> str:
    def pause(found: re.Match[str]) -> str:
        is_author = bool(author) and not found[3] and found[2].casefold() == author.casefold()
        return found[1] if is_author else found[1] + _PAUSE

    return _hidden.sub("&lt;!--", _any.sub(pause, text))


def _plain(login: str) -> str:
    return login.strip().removeprefix("@").casefold().removesuffix(BOT)


@lru_cache(maxsize=64)
def _of(name: str) -> re.Pattern[str]:
    # A team is `@organisation/team`, an address of mail has a name before the sign.
    return re.compile(rf"(?<![\w@./-])@{re.escape(name)}(?:\[bot\])?(?![\w/-])", re.IGNORECASE)
