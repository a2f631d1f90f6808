"""The words that the grounding check knows: what carries no meaning of its own, what denies, and what is the opposite of what.

The lists are general English, short on purpose. Words of other languages are compared as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import permutations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


STOP = _set(
    "a about all also am an and any are as at be been being both but by can could did do does doing either else ever for from get"
    " gets got had has have having he her here him his how however i if in into is it its itself just kind let many may me might mine"
    " much must my of off on onto or other our ours out own please quite rather really same shall she should since so some such sure"
    " than that the their them then there these they this those though through thus to too until up upon us very was we were what"
    " when where whether which while who whom whose why will with within would yes yet you your yours need needs only even still"
    " already well be's it's that's one ones unless except without not no never none nor neither cannot"
)
"""Words that are no evidence either way. What denies is here too: it is looked at apart."""

NEGATIONS = _set(
    "not no never none nor neither cannot without isnt arent wasnt werent dont doesnt didnt cant couldnt wont wouldnt shouldnt hasnt"
    " havent mustnt neednt nothing nobody"
)
"""What denies the words that follow (without apostrophes)."""

DENYING = NEGATIONS | _set(
    "unless except apart impossible unavailable excluded excludes exclude excluding refuse refuses refused unable fail fails failed"
    " lack lacks only just sole solely alone unfortunately sorry neither instead nor limited reserved afraid until otherwise stop"
    " stops"
)
"""What can say the same as a negation in other words; where it stands, a missing "not" is no contradiction."""

NOT, ONLY, ALSO, IF, UNLESS, EVEN = (1 << number for number in range(6))
"""What may stand at a word and turn what is said, as bits."""
MARKS = (
    dict.fromkeys(NEGATIONS, NOT)
    | dict.fromkeys(("only", "solely"), ONLY)
    | dict.fromkeys(("if", "provided", "when"), IF)
    | dict.fromkeys(("unless", "except", "apart"), UNLESS)
    | {"also": ALSO, "even": EVEN, "whether": EVEN, "regardless": EVEN}
)

CONDITIONS = IF | UNLESS | EVEN

_OPPOSITES = (
    "open close|before after|more less fewer|most least|higher lower|above below under|over under|first last|always never"
    "|include exclude|allow forbid|increase decrease reduce|early late|hot cold|warm cool|upgrade downgrade|working broken"
    "|accept refuse|alive dead|possible impossible|success failure|minimum maximum|add remove|faster slower|full empty|thin thick"
    "|safe dangerous|enable disable|monthly yearly|win lose|buy sell|old new|day night|north south|east west|male female|husband wife"
    "|father mother|brother sister|son daughter|light dark|illness health|normal abnormal|older younger|longer shorter|larger smaller"
    "|bigger smaller|best worst|left right|up down|begin end|start stop|mine yours|all none|oldest youngest|largest smallest"
    "|longest shortest|highest lowest|fresh stale|loose tight"
)
_SAME = (
    "cost price pay charge amount fee|photo picture image|begin start|buy purchase|send mail ship|end finish|help assist|big large"
    "|small little|shut close|wash clean|throw discard bin|keep retain|bring return|yearly annual|monthly month|kilo kg"
    "|machine device|ask request|make produce|movie film|born birth|author writer|die death|car automobile|us usa|password code"
    "|cover protect|cancel terminate|phone telephone|damaged broken|repair fix mend|replace swap exchange|choose select pick|show display"
    "|use employ|need require|get receive obtain|allow permit|forbid prohibit ban|refund reimburse|register enroll|store keep|spread smear"
    "|mix blend|arrive come|rinse wash|hold contain|order purchase|delivery shipment|parcel package|customer client"
    "|extra additional|whole entire|usual normal typical|quick fast rapid|instant immediate|correct right|error fault|heat warm"
    "|kind type sort|smell odor|hurt harm"
)

_SUFFIX = re.compile(r"(?<=\w{3})(?:ations?|ments?|ings?|ies|ied|ed|es|e|s|y)$")


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return `word` (in lower case) without its commonest endings; a doubled last consonant counts once ("shipped" -> "ship")."""
    if len(word) < 4 or not word.isascii():
        return word
    cut = _SUFFIX.sub("", word)
    return cut[:-1] if cut != word and len(cut) > 3 and cut[-1] == cut[-2] and cut[-1] not in "ls" else cut


FREE = frozenset(map(stem, ("free", "complimentary", "gratis")))
"""Stems that say that something costs nothing."""
WITHIN = frozenset(map(stem, ("included", "covered", "waived")))
"""Stems that may say the same."""
PRICED = frozenset(map(stem, ("cost", "charge", "fee", "surcharge")))
"""Stems that say it where they are denied."""
SWEEPING = frozenset(map(stem, ("every", "always", "all", "everyone", "everything", "any", "guaranteed")))
"""Stems that leave no exception."""


def _groups(text: str) -> list[list[str]]:
    return [[stem(word) for word in group.split()] for group in text.split("|")]


def _table(groups: list[list[str]], pairs: Callable[[list[str]], Iterable[tuple[str, str]]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for group in groups:
        for one, other in pairs(group):
            found.setdefault(one, set()).add(other)
    return {word: tuple(sorted(others)) for word, others in found.items()}


OPPOSITE = _table(_groups(_OPPOSITES), lambda group: [pair for word in group[1:] for pair in ((group[0], word), (word, group[0]))])
"""Stem -> stems of what is its opposite: the first of a group is that of each other."""
SYNONYMS = _table(_groups(_SAME), lambda group: permutations(group, 2))
"""Stem -> stems that say the same in most texts."""
