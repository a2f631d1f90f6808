"""Reads one JSON value as models write it, from text that comes in pieces.

It takes strict JSON and the deviations that can be undone without guessing (comments, commas, quotes, Python's literals, a missing bracket
where the text goes on), keeps account of each, and marks what it cannot know: a value that is cut off, missing, or given twice. At anything
else it is stuck. It never recurses, and the pieces cost what the whole text costs.
"""

from __future__ import annotations

import json
import re

from llmlab.pipeline.parsing.grammar import Grammar

_LONGEST_WORD = 1000
"""Longest number, literal or bare name (in characters)."""
_CLOSING = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_PLAIN = {close: re.compile(rf"[^{close}\\\x00-\x1f\ud800-\udfff]*") for close in _CLOSING.values()}
_ESCAPE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})|u(?P<code>[0-9a-fA-F]{4})|(?P<one>[^u]))", re.DOTALL
)
_UNFINISHED_ESCAPE = re.compile(r"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?))?")
_ONE = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SPACE, _ODD_SPACE = re.compile(r"[ \t\r\n]*"), re.compile(r"[\s\ufeff\u200b]+")
_WORD = re.compile(r"[^\s{}\[\],:\"'“‘`/#]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NAME = re.compile(r"[A-Za-z_$][\w$-]*")
_LITERALS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_NOT_NUMBERS = ("NaN", "nan", "Infinity", "-Infinity", "+Infinity", "inf", "-inf")


class Reader(Grammar):
    """Reads one value.

    Args:
        start: Where it begins in the whole text (in characters).
    """

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.start = start
        self.text, self.at = "", 0
        """What is being read, and how far it was read."""
        self._base, self._ended = start, False
        self._quote: str | None = None
        self._comment: str | None = None
        self._parts: list[str] = []

    @property
    def end(self) -> int:
        """Where it stopped reading, in the whole text (in characters)."""
        return self._base + self.at

    @property
    def over(self) -> bool:
        """Whether it reads no further."""
        return self.whole or self.cut or self.stuck

    def feed(self, piece: str, begin: int = 0) -> None:
        """Read on in `piece`, from its character `begin`."""
        end, rest = self.end, self.text[self.at :]
        self.text, self.at = (rest + piece[begin:], 0) if rest else (piece, begin)
        self._base = end - self.at
        while not self.over and self._step():
            pass

    def close(self) -> None:
        """Say that nothing follows: what is open now was cut off."""
        self._ended = True
        self.feed("")
        if not self.over:
            self._cut_off(self.text[self.at :])

    def _step(self) -> bool:
        """Read a token or a part of one; False: the text so far does not hold it."""
        if self._quote is not None:
            return self._string(self._quote)
        if self._comment is not None:
            return self._skip_comment(self._comment)
        text = self.text
        self.at = _SPACE.match(text, self.at).end()  # type: ignore[union-attr]
        if self.at == len(text):
            return False
        char = text[self.at]
        if char in "{}[],:":
            self._punctuation(char)
            self.at += not self.stuck  # else another value may begin here
        elif char in _CLOSING:
            if char != '"':
                self._note("quotes")
            self.at += 1
            self._quote, self.telling = char, True
        elif char in "/#`":
            return self._mark(char)
        elif (odd := _ODD_SPACE.match(text, self.at)) is not None:
            self._note("whitespace")
            self.at = odd.end()
        else:
            return self._word()
        return True

    def _string(self, quote: str) -> bool:
        text, close = self.text, _CLOSING[quote]
        plain = _PLAIN[close].match(text, self.at)
        assert plain is not None, "it may be empty"
        self._parts.append(plain[0])
        self.at = plain.end()
        if self.at == len(text):
            return False
        char = text[self.at]
        if char == "\\":
            return self._escape(close)
        if char == close:
            whole, self._parts, self._quote = "".join(self._parts), [], None
            self._take_string(whole)
        else:
            self._note("control_character" if char < " " else "surrogate")
            self._parts.append(char if char < " " else "\ufffd")
        self.at += 1
        return True

    def _escape(self, close: str) -> bool:
        ahead = self.text[self.at : self.at + 12]
        if _UNFINISHED_ESCAPE.fullmatch(ahead) and (not self._ended or len(ahead) < 6):
            return False
        escape = _ESCAPE.match(self.text, self.at)
        if escape is None or (escape["one"] and escape["one"] not in (*_ONE, "'", close)):
            self._note("bad_escape")
            self._parts.append("\\")
            self.at += 1
            return True
        code = int(escape["code"] or "0", 16)
        if escape["high"]:
            self._parts.append(chr(0x10000 + (int(escape["high"], 16) - 0xD800) * 0x400 + int(escape["low"], 16) - 0xDC00))
        elif 0xD800 <= code < 0xE000:
            self._note("surrogate")
            self._parts.append("\ufffd")
        elif escape["code"]:
            self._parts.append(chr(code))
        else:
            if escape["one"] not in _ONE and close == '"':
                self._note("quotes")
            self._parts.append(_ONE.get(escape["one"], escape["one"]))
        self.at = escape.end()
        return True

    def _mark(self, char: str) -> bool:
        """Read the begin of a comment, or of the end of a fence."""
        mark = self.text[self.at : self.at + {"#": 1, "/": 2, "`": 3}[char]]
        if mark in ("/", "`", "``") and not self._ended:
            return False
        if mark in ("//", "#", "/*"):
            self._note("comment")
            self._comment = "*/" if mark == "/*" else "\n"
            self.at += len(mark)
        elif mark == "```" and self._want == "after":
            while self._stack:
                self._pop("missing_bracket" if self.containers == 1 else "brackets")
        elif mark == "```" and self._stack:
            self._cut_off()
        else:
            self.stuck = True
        return True

    def _skip_comment(self, ending: str) -> bool:
        found = self.text.find(ending, self.at)
        if self.text.find('"', self.at, found if found >= 0 else len(self.text)) >= 0:
            self._note("odd_comment")
        if found < 0:
            self.at = max(self.at, len(self.text) - len(ending) + 1)
            return False
        self.at, self._comment = found + len(ending), None
        return True

    def _word(self) -> bool:
        word = _WORD.match(self.text, self.at)
        assert word is not None, "all else was tried before"
        at_end = word.end() == len(self.text)
        if at_end and not self._ended and len(word[0]) < _LONGEST_WORD:
            return False
        if self._want in ("value", "item") and not (at_end and self._stack):
            self._value(word[0])
        elif self._want == "key" and not at_end and _NAME.fullmatch(word[0]):
            self._note("unquoted_key")
            self._take_string(word[0])
        elif at_end and self._want in ("value", "item", "key") and len(word[0]) < _LONGEST_WORD:
            return False  # it may be the begin of a longer one
        else:
            self.stuck = True
        if not self.stuck:
            self.at = word.end()
        return True

    def _value(self, word: str) -> None:
        """Take a number or a literal."""
        number = _NUMBER.fullmatch(word) if len(word) < _LONGEST_WORD else None
        value = None if number is None else float(word) if number[1] or number[2] else int(word)
        if word in _NOT_NUMBERS or value in (float("inf"), float("-inf")):
            self._note("not_a_number")
            self._put(None)
        elif value is not None:
            self._put(value)
        elif word in _LITERALS:
            if not word.islower():
                self._note("literal")
            self._put(_LITERALS[word])
        else:
            self.stuck = True

    def _cut_off(self, partial: str = "") -> None:
        """Take account of what is open at the end; `partial` is the begin of a number or a literal."""
        self.stuck = not self._stack and self._quote is None
        if self.stuck:
            return
        if self._want in ("value", "item") and (self._quote is not None or partial):
            self._note("cut_off")
            number = _NUMBER.match(partial)
            self._put("".join(self._parts) if self._quote is not None else json.loads(number[0]) if number else None)
            self.at += len(partial)
        elif self._want == "value":
            self._note("missing_value")
            self._put(None)
        else:
            self._want = "after"
            self._note("cut_off")
        while self._stack:
            self._pop()
        self.whole, self.cut = False, True
