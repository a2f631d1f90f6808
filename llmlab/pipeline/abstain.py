"""Abstention: "I don't know" as an outcome of its own, and what the user is told instead of an answer.

Notebook: 04_hallucination.ipynb
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llmlab.data.help_desk import normalize, says_dont_know
from llmlab.errors import BadInput
from llmlab.pipeline.courtesies import courteous
from llmlab.pipeline.guardrails.refusal import RefusalGuard
from llmlab.pipeline.prompt import Document

LONGEST_ADMISSION = 1000
"""What is longer (in characters) says more than that it does not know."""
_QUESTION_CHARACTERS, _TITLE_CHARACTERS = 200, 80
_ADMISSIONS = RefusalGuard(kinds=("abstention",))
_MENTIONED = re.compile(r'"[^"]*"(?:, "[^"]*")*|\[[^\[\]]*\]')
"""What is mentioned, not said: quotes and citations."""
_NEW = re.compile(
    r"(?<=[.!?])\s+|[;:\n()]+|\s-+\s|,?\s\b(?:but|however|though|although|yet|because)\b,?"
    r"|\sand\s(?=(?:it|you|we|they|there|this|that|these|i|the|a|our|your|all|most|each|every)\b)"
)
"""Where something new may be said."""
_LED = re.compile(
    r"(?:according to|as|based on|from|given|how|if|no|nor|or|what|when|where|whether|who|why|are|can|does|do|has|is|was|will)\b.*"
)
"""How the part of a sentence begins that goes on with it, after a comma or before one."""
_ADMITS = re.compile(
    r"\b(?:can|could) not (?:say|tell)\b|\bnot able to (?:find|locate|tell|say|determine|confirm)\b"
    r"|\b(?:find|found|hold) (?:no|nothing)\b|\bnothing about\b"
)
"""Wordings that neither the help desk's grader nor the guard of refusals has."""
_RHETORICAL = re.compile(r"\b(?:know|sure|certain) (?:if|whether) you(?:'re| are)? (?:know|knew|aware|reali|notice|saw|heard|read)")
_SOMEBODY = r"(?:contact|ask|reach|call|chat with|email|write to|get in touch|speak|talk|check with|turn to)\b.*"
_IDLE = re.compile(
    r"(?:i'm |i am |we're |we are |so |very )*(?:sorry|afraid|unfortunately|apolog\w+)\b[\w' ]*|if [\w' ]+"
    r"|(?:please |feel free to |you (?:can |could |may |might |want to )+"
    rf"|i(?: would|'d)? (?:suggest|recommend)(?: that)? (?:you )?)*{_SOMEBODY}"
    r"|(?:please |could you |can you )*(?:let me know|tell me|rephrase|give me|share more|provide more)\b.*"
    r"|(?:i|we)(?: can| could| will|'ll|'d| would| gladly| be| happy| glad| to| try)+ "
    r"(?:ask|check|connect|find out|forward|hand|help|look|pass|try)\b.*|(?:i looked at|i had no pages)\b.*"
)
"""What says nothing of the matter beside an admission, though it is no mere courtesy: regrets, referrals, offers."""


def says_unknown(text: str) -> bool:
    """Return whether an answer admits that it does not know, and claims nothing beside it. In English, by its wording.

    It is read clause by clause: at least one admits ("I could not find this"), and each of the others is idle ("I'm sorry", "please
    contact us"). So "I don't know if you knew, but it is 2 years" is an answer, and so is "I'm not sure, but I think it is 2 years". An
    offer with a number in it is a claim: "call 555-0100". A doubtful clause counts as a claim.
    """
    if len(text) > LONGEST_ADMISSION:
        return False
    admitted = False
    plain = "\n".join(map(normalize, text.replace("\u2014", " \n").splitlines()))
    for sentence in _NEW.split(_MENTIONED.sub("", plain)):
        parts = [part.strip(" .!?") for part in sentence.split(", ")]
        for part in filter(None, parts):
            if _admits(part):
                admitted = True
            elif re.search(r"\d", part) or not (courteous(part) or _IDLE.fullmatch(part) or (len(parts) > 1 and _LED.match(part))):
                return False
    return admitted


def _admits(clause: str) -> bool:
    wording = says_dont_know(clause) or _ADMITS.search(clause) or _ADMISSIONS.check(clause)
    return bool(wording) and not _RHETORICAL.search(clause)


@dataclass(frozen=True, kw_only=True)
class Abstain:
    """What the user is told where there is no answer: that there is none, what was looked at, and what is offered instead.

    Raises:
        BadInput: The message says nothing, a part is no text or uses another name than `{question}`, or `pages` is no count.
    """

    message: str = "I don't know: I found no answer that our help pages support."
    """That there is no answer."""
    offer: str = 'I can hand your question to a colleague: "{question}"'
    """What is offered instead; `{question}` is what was asked, on one line and cut to 200 characters. Empty: nothing is."""
    pages: int = 2
    """How many of the pages that were looked at are named (their titles), nearest first."""

    def __post_init__(self) -> None:
        if not isinstance(self.message, str) or not self.message.strip() or not isinstance(self.offer, str):
            raise BadInput(f"Abstain: message is a text that is not empty, and offer a text, not {self.message!r} and {self.offer!r}")
        if names := set(re.findall(r"\{([^{}]*)\}", self.message + self.offer)) - {"question"}:
            raise BadInput(f"Abstain: the texts may use {{question}}, not {{{min(names)}}}")
        if not isinstance(self.pages, int) or isinstance(self.pages, bool) or self.pages < 0:
            raise BadInput(f"Abstain: pages is a whole number of at least 0, not {self.pages!r}")

    def words(self, question: str, documents: Sequence[Document]) -> str:
        """Return the text for the user.

        Args:
            question: What was asked.
            documents: What was to be answered from, nearest first.
        """
        titles = [f'"{_quoted(page.title or page.id, _TITLE_CHARACTERS)}"' for page in documents[: self.pages]]
        looked = f"I looked at {', '.join(titles)}." if titles else "" if documents else "I had no pages to look at."
        asked = _quoted(question, _QUESTION_CHARACTERS)
        message, offer = (part.replace("{question}", asked) for part in (self.message, self.offer))
        return " ".join(filter(None, (message, looked, offer)))


def _quoted(text: str, most: int) -> str:
    """Return a text as it can stand in double quotes: on one line, without any of its own, and cut."""
    line = " ".join(text.replace('"', "'").split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
