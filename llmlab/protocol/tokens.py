"""An estimate of tokens, the same on every machine.

Real vocabularies are large or are downloaded at run time. The estimate cuts text as byte-pair tokenizers do for common English: a word with
the space before it is a token, long words are several, digits go in threes, punctuation stands alone. It is used where no provider has
counted: by the simulator, and for a request that has not been answered yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

_PIECE = re.compile(r" ?[^\W\d_]{1,8}| ?\d{1,3}| ?[^\w\s]|_|\s+(?!\S)|\s")


def split(text: str) -> list[str]:
    """Return `text` cut into estimated tokens; joined they are `text` again."""
    return _PIECE.findall(text)


@lru_cache(maxsize=256)  # attempts of a request have the same messages
def count(text: str) -> int:
    """Return the estimated number of tokens in `text`."""
    return len(_PIECE.findall(text))


def count_messages(messages: Sequence[object]) -> int:
    """Return the estimated prompt tokens of chat `messages`: their text, and 4 for each message's frame, and 3 for the reply's."""
    return 3 + sum(4 + count(content_text(message.get("content"))) for message in messages if isinstance(message, Mapping))


def content_text(content: object) -> str:
    """Return the text of a message's content, which is a string, a list of parts, or None."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict) and isinstance(part.get("text", ""), str))
    return ""
