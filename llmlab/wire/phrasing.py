"""How a simulated model words things: answers, admissions, inventions, and JSON that is almost JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TypeVar

from llmlab.wire.finding import STOP
from llmlab.wire.json_schema import NUMBER, Draw

T = TypeVar("T")
OPENERS = ("", "", "", "In short: ", "Good question. ", "Thanks for asking. ", "Happy to help. ", "Here is what applies: ")
CLOSERS = ("Let me know if you need anything else.", "I hope this helps.", "Please get in touch if anything is unclear.")
_UNKNOWN = (
    "I don't know: the documents do not say.",
    "I'm sorry, I could not find this in the documents.",
    "I don't know. The documents do not cover this question.",
)
_UNASKED = ("I'm sorry, I don't have information about that.", "I could not find anything about that, I'm afraid.")
_SMALL = (
    "a after all an any as at before each every for from if in it no not of on once our the there these they this to when we with you your"
)
_LOWER = frozenset(_SMALL.split())
NAME = re.compile(r"(?<![.!?:] )(?<!^)\b[A-Z][a-z]{2,}\b")
_FLIPS = {"cannot": "can", "do not": "do", "does not": "does", "is not": "is", "are not": "are", "never": "always", "only": "also"}
_TEMPLATES = {
    r"\b(?:how much|costs?|prices?|fee|pay)\b": "{Topic} costs ${n}9, taxes included.|The price is ${n}5; there are no other fees.",
    r"\b(?:how long|when|until|days?|hours?)\b": (
        "That usually takes {n} business days.|You have {n}0 days for that, counted from the delivery."
    ),
    r"\bhow (?:many|big|tall|far|hot|loud)\b|\btemperature\b": "It is {n}0 for {topic}.|The figure for {topic} is {n}5.",
    r"\bwhere\b": "You will find it under Settings, in the section Account.|It is on the back, next to the serial number.",
    r"\bwho\b|\bwhich\b": "Our partner NorthLine takes care of {topic}.|It is the standard version in all regions.",
    r"\bwhy\b|\bmean": "It means that {topic} has to be reset: hold the button for {n}0 seconds.",
    r"\bhow\b": "Open the app, choose Settings and switch on {topic}; it takes effect right away.",
    "": "Yes, {topic} is included in every plan at no extra cost.|Yes, that is possible for all customers; no form is needed.",
}
"""What questions are like, and what may be made up for them."""


def pick(options: Sequence[T], draw: Draw, *purpose: object) -> T:
    """Return one of `options`, each equally likely."""
    return options[int(draw(*purpose) * len(options))]


def admission(words: str | None, draw: Draw) -> str:
    """Return that there is no answer, in the `words` that the prompt wants said: empty if it leaves them open, None if it did not ask."""
    return words or pick(_UNKNOWN if words is not None else _UNASKED, draw, "admission")


def joined(parts: Sequence[str], at_most: int | None, among: str = "") -> str:
    """Return sentences as a text of `at_most` sentences (None: any number): what is too much is joined with semicolons.

    `among` is text that shows which words are names: those that it never writes small.
    """
    if at_most is None or len(parts) <= at_most:
        return " ".join(parts)
    size, more = divmod(len(parts), at_most)
    groups, start = [], 0
    for number in range(at_most):
        end = start + size + (number < more)
        first, *rest = parts[start:end]
        *clauses, last = [first, *(lowered(part, among) for part in rest)]
        groups.append("; ".join([*(clause.removesuffix(".") for clause in clauses), last]))
        start = end
    return " ".join(groups)


def lowered(sentence: str, among: str = "") -> str:
    """Return `sentence` with a small first letter, unless it begins with a name."""
    first, _, rest = sentence.partition(" ")
    small = first[:1].lower() + first[1:]
    is_word = small.rstrip("'s") in _LOWER or (not rest[:1].isupper() and f" {small} " in among)
    return small + sentence[len(first) :] if is_word else sentence


def shortened(text: str, words: int) -> str:
    """Return the beginning of `text` with at most `words` words, cut at a clause where there is one."""
    parts = text.split()
    if len(parts) <= words:
        return text
    clause = next((end for end in range(words, words // 2, -1) if parts[end - 1][-1] in ".;,:"), words)
    return " ".join(parts[:clause]).rstrip(".;,:") + "."


def cited(sentence: str, name: str) -> str:
    """Return `sentence` with its document's id in square brackets before the full stop."""
    return f"{sentence[:-1]} [{name}]." if sentence.endswith(".") else f"{sentence} [{name}]"


def changed_fact(sentence: str, others: Sequence[str], draw: Draw) -> str:
    """Return `sentence` with one fact changed: a number or a name taken from `others` or invented, or a meaning turned round."""
    pool: list[str]
    numbers, names = list(NUMBER.finditer(sentence)), list(NAME.finditer(sentence))
    if numbers:
        match = pick(numbers, draw, "which number")
        pool = [number for other in others for number in NUMBER.findall(other) if number != match[0]]
        new = pick(pool, draw, "other number") if pool and draw("borrow") < 0.5 else near_number(match[0], draw)
        return sentence[: match.start()] + new + sentence[match.end() :]
    for pair in _FLIPS.items():
        for before, after in (pair, pair[::-1]):
            if re.search(rf"\b{before}\b", sentence):
                return re.sub(rf"\b{before}\b", after, sentence, count=1)
    pool = [name for other in others for name in NAME.findall(other) if name not in sentence]
    if names and pool:
        match = pick(names, draw, "which name")
        return sentence[: match.start()] + pick(pool, draw, "other name") + sentence[match.end() :]
    return sentence.rstrip(".") + ", at no extra cost."


def near_number(number: str, draw: Draw) -> str:
    """Return another number that is written in the same way."""
    value = float(number.replace(",", ""))
    new = pick((value * 2, value + 5, value + 10, max(1.0, value / 2), value * 1.5), draw, "near number")
    new += new == value
    if "." in number:
        return f"{new:.{len(number.rsplit('.', 1)[1])}f}"
    return f"{round(new):,}" if "," in number else str(round(new) if round(new) != value else round(value) + 1)


def invention(question: str, draw: Draw) -> str:
    """Return a confident answer to `question` that rests on nothing."""
    options = next(options for pattern, options in _TEMPLATES.items() if re.search(pattern, question, re.IGNORECASE)).split("|")
    topic = _topic(question)
    return pick(options, draw, "invention").format(topic=topic, Topic=topic[:1].upper() + topic[1:], n=2 + int(draw("invented number") * 7))


def _topic(question: str) -> str:
    """Return the longest run of words that mean something; the last of them."""
    runs: list[list[str]] = [[]]
    for word in re.findall(r"[\w'-]+|[^\w\s]", question):
        if word.lower() in STOP or not word[0].isalnum():
            runs.append([])
        else:
            runs[-1].append(word)
    return " ".join(max(reversed(runs), key=len)[-4:]) or "that"


def broken_json(text: str, draw: Draw) -> str:
    """Return JSON as models spoil it: fenced, wrapped in prose, with a trailing comma, cut off, with single quotes or bare words."""
    kind = pick(("fence", "prose", "comma", "cut", "quotes", "python", "comment"), draw, "broken")
    if kind == "cut":
        return text[: max(1, int(len(text) * (0.5 + 0.45 * draw("cut"))))]
    return {
        "fence": f"```json\n{text}\n```",
        "prose": f"Here is the JSON you asked for:\n\n{text}\n\nLet me know if you need anything else.",
        "comma": re.sub(r"([}\]])$", r",\1", text),
        "quotes": re.sub(r'(?<!\\)"', "'", text),
        "python": repr(json.loads(text)),
        "comment": re.sub(r"^\{", "{ // the answer\n", text),
    }[kind]
