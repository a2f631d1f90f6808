"""The guards of what a question is about, and of its language: lists of words, and no model."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from llmlab.errors import BadInput
from llmlab.pipeline.answer import Finding
from llmlab.pipeline.guardrails.base import RuleGuard
from llmlab.pipeline.guardrails.phrases import Phrases, check_texts


class Topic(NamedTuple):
    """What a help desk does not deal with, by its words."""

    name: str
    strong: tuple[str, ...]
    """Phrases that tell by themselves: 2 points each."""
    weak: tuple[str, ...] = ()
    """Phrases that tell in company: 1 point each."""


def _topic(name: str, strong: str, weak: str) -> Topic:
    return Topic(name, tuple(strong.split("|")), tuple(weak.split("|")))


TOPICS = (
    _topic(
        "creative",
        "poem|haiku|sonnet|limerick|song lyrics|short story|screenplay|fan fiction|bedtime story|write me a song|write an essay|novel",
        "essay|story|rhyme|verse|lyrics|joke|fairy tale|write me",
    ),
    _topic(
        "code",
        "python script|python function|javascript function|sql query|regular expression|regex|source code|unit test|write code|stack trace",
        "python|javascript|java|html|css|algorithm|compile|debug|function|programming|script",
    ),
    _topic(
        "politics",
        "presidential election|who should i vote for|prime minister|political party|abortion|gun control|immigration policy|democrats"
        "|republicans",
        "election|president|politician|government|vote|senate|parliament|war|minister|party",
    ),
    _topic(
        "medicine",
        "my symptoms|antibiotics|ibuprofen|prescription|chest pain|side effects of|diagnose me|blood pressure|antidepressants|chemotherapy",
        "doctor|headache|fever|medication|dose|disease|symptom|therapy|diagnosis|pain",
    ),
    _topic(
        "law",
        "sue my|lawsuit|divorce|custody|legal advice|draft a contract|immigration lawyer|criminal charges|landlord",
        "lawyer|court|attorney|contract|legal|sue|tenant",
    ),
    _topic(
        "money",
        "bitcoin|cryptocurrency|stock market|which stocks|mortgage|day trading|investment advice|hedge fund|tax return",
        "invest|stocks|shares|portfolio|crypto|loan|interest rate|trading",
    ),
    _topic(
        "homework",
        "my homework|quadratic equation|integral of|derivative of|french revolution|photosynthesis|capital of|world war|square root of",
        "homework|exam|equation|solve|translate|history|geometry|shakespeare",
    ),
    _topic(
        "gossip",
        "horoscope|zodiac sign|celebrity|taylor swift|world cup|super bowl|dating advice|my girlfriend|my boyfriend|premier league",
        "football|movie|actor|singer|dating|match|team|film",
    ),
)
"""What a help desk is asked for that is none of its business."""
ON_TOPIC = (
    *("order", "delivery", "deliver", "shipping", "refund", "return", "warranty", "invoice", "account", "password", "subscription", "app"),
    *("device", "machine", "manual", "repair", "spare part", "replacement", "customer service", "settings", "error code", "firmware"),
    *("bluetooth", "store", "price", "discount", "voucher", "payment", "loaf", "bread", "dough"),
)
"""Words of a help desk's own: each takes 1 point away."""


@dataclass(frozen=True, kw_only=True)
class TopicGuard(RuleGuard):
    """Finds questions that are none of a help desk's business: those with enough words of another topic, less those of its own.

    It knows words, not meanings: what its lists do not hold passes, and a bread machine's "script" costs a point. The lists are English.

    Raises:
        BadInput: There are no topics, or the threshold is no number above 0.
    """

    topics: tuple[Topic, ...] = TOPICS
    on_topic: tuple[str, ...] = ON_TOPIC
    threshold: float = 2
    """Points that a topic needs: 2 for each of its strong phrases, 1 for a weak one, -1 for one that is on topic. Each counts once."""
    roles: tuple[str, ...] = ("user",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.topics, Topic) or not self.topics or not all(isinstance(topic, Topic) for topic in self.topics):
            raise BadInput(f"TopicGuard: topics are several Topic(name, strong, weak), not {self.topics!r}")
        for topic in self.topics:
            check_texts(f"TopicGuard: the phrases of {topic.name!r}", (*topic.strong, *topic.weak))
        if self.on_topic:
            check_texts("TopicGuard: on_topic", self.on_topic)
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int | float) or not self.threshold > 0:
            raise BadInput(f"TopicGuard: threshold is a number of points above 0, not {self.threshold!r}")

    @cached_property
    def _phrases(self) -> Phrases:
        return Phrases([*self.on_topic, *(phrase for topic in self.topics for phrase in (*topic.strong, *topic.weak))])

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return one finding for each topic that `text` has enough words of; the span is from the first of them to the last."""
        hits = list(self._phrases.find(text))
        own = len({hit.phrase for hit in hits} & set(self.on_topic))
        found = []
        for topic in self.topics:
            points = dict.fromkeys(topic.weak, 1) | dict.fromkeys(topic.strong, 2)
            its = [hit for hit in hits if hit.phrase in points]
            said = dict.fromkeys(hit.phrase for hit in its)
            if its and sum(points[phrase] for phrase in said) - own >= self.threshold:
                reason = f"it is about {topic.name}: {', '.join(said)}"
                found.append(Finding("off_topic", f"topic.{topic.name}", its[0].start, max(hit.end for hit in its), reason))
        return found


_WORDS = {
    "en": "the and is are of to in that it you my do does how what can i this with for not have was be when where why your please will",
    "de": "der die das und ist nicht ich wie kann mein meine mit ein eine zu den von für auf es wir sie haben wo warum bitte wird auch",
    "fr": "le la les et est une des je vous pas pour dans que qui mon ma comment combien quel de sur avec ce il nous où pourquoi peux",
    "es": "el los las y es una por para que no mi cómo cuánto puedo de si con está del yo se dónde qué cuándo tengo muy pero hay su lo",
    "it": "il gli e è una per che non mio mia come quanto se posso con sono del della di si dove quando perché ho questo questa lo nel",
    "pt": "o os as e é uma para que não meu minha como quanto posso com está de se do da em eu se onde quando por isso você tenho um ao",
    "nl": "de het en is een niet ik mijn hoe kan met van voor op dat je wij zijn waar waarom wordt heb deze dit naar te er",
}
"""The most common words of the languages in Latin script."""
_COMMON = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_SCRIPTS = {
    "ru": "\u0400-\u052f",
    "el": "\u0370-\u03ff",
    "he": "\u0590-\u05ff",
    "ar": "\u0600-\u06ff\u0750-\u077f",
    "hi": "\u0900-\u097f",
    "th": "\u0e00-\u0e7f",
    "ko": "\u1100-\u11ff\uac00-\ud7af",
    "ja": "\u3040-\u30ff",
    "zh": "\u4e00-\u9fff\u3400-\u4dbf",
}
"""Ranges of letters, each with the language that stands for its script: what is in Cyrillic counts as Russian."""
_LETTERS = {language: re.compile(f"[{ranges}]") for language, ranges in _SCRIPTS.items()}
_LATIN = re.compile("[a-zA-Z\u00c0-\u024f]+")


def language_of(text: str) -> str:
    """Return the language of `text` as a code of two letters, or an empty string if there is no telling.

    Another script tells it, where at least half of the letters are in it; in Latin script two common words do, if no other language has as
    many. Japanese is told from Chinese by its syllables.
    """
    words = Counter(_LATIN.findall(text.lower()))
    letters = {} if text.isascii() else {language: len(pattern.findall(text)) for language, pattern in _LETTERS.items()}
    if (foreign := sum(letters.values())) and foreign >= sum(len(word) * times for word, times in words.items()):
        if letters["ja"]:
            letters["ja"] += letters["zh"]
        return max(letters, key=lambda language: letters[language])
    ranked = sorted(((sum(words[word] for word in common), language) for language, common in _COMMON.items()), reverse=True)
    (most, language), (second, _) = ranked[:2]
    return language if most >= 2 and most > second else ""


@dataclass(frozen=True, kw_only=True)
class LanguageGuard(RuleGuard):
    """Finds questions in a language that the pipeline is not meant for, by script and common words: see `language_of`.

    What it cannot tell passes while it is short ("Bluetooth E4?"), and does not once it is long.

    Raises:
        BadInput: A language that it cannot tell.
    """

    languages: tuple[str, ...] = ("en",)
    """Codes of two letters."""
    enough_words: int = 12
    """From how many words in Latin script on a text must be told (in words)."""
    roles: tuple[str, ...] = ("user",)

    allowed_actions: ClassVar[tuple[str, ...]] = ("allow", "flag", "block")

    def __post_init__(self) -> None:
        super().__post_init__()
        known = (*_WORDS, *_SCRIPTS)
        if isinstance(self.languages, str) or not self.languages or not set(self.languages) <= set(known):
            raise BadInput(f"LanguageGuard: languages are some of {', '.join(known)}, in a tuple, not {self.languages!r}")
        if isinstance(self.enough_words, bool) or not isinstance(self.enough_words, int) or self.enough_words < 1:
            raise BadInput(f"LanguageGuard: enough_words is a whole number of at least 1, not {self.enough_words!r}")

    def check(self, text: str, role: str = "user") -> list[Finding]:
        """Return one finding where `text` is in another language, or is long and in none that can be told."""
        language = language_of(text)
        if language in self.languages or (not language and len(_LATIN.findall(text)) < self.enough_words):
            return []
        spoken, wanted = language or "no language that can be told", " or ".join(self.languages)
        return [Finding("language", f"language.{language or 'unknown'}", 0, len(text), f"it is in {spoken}, and {wanted} is meant")]
