"""What an answer says to the person and not of the matter: greetings, thanks, apologies, offers of help, and "here is what applies"."""

from __future__ import annotations

import re

_SOFT = (
    "a about all also always am and answer any anything anytime are as ask asked asking assist assistance be bit can clear clears"
    " confusion contact contacting could day do else ever feel for free from further get glad happy have hear help helped helps here"
    " hesitate hi hope i i'd i'll i'm if in inconvenience is it know let like me message more much my need of on or other our out patience"
    " please question questions reach reaching should so some sorry support team thank thanks that that's the there things this to touch"
    " unclear unsure up us very waiting want was we we'd we'll we're will with would writing you you're you've your"
)
_BEGINNING = (
    r"(?:that(?:'s| is) )?(?:an? |such an? )?(?:very |really )?(?:good|great|excellent|fair|nice|important) (?:question|point)"
    r"|(?:many )?thank(?:s| you)\b|(?:i |we )?hope (?:this|that|it)\b|(?:i|we) (?:apologi[sz]e|appreciate)\b|(?:my |our )?apologies\b"
    r"|(?:(?:i|we)(?: would|'d)?(?:'m|'re| am| are| be)? )?(?:always |very |so |only )*(?:happy|glad|sorry|here)(?= to\b| for\b|$)"
    r"|(?:please |just )*(?:let (?:me|us) know|feel free to (?:ask|contact|reach|get|let)|(?:get in touch|contact us|reach out|ask) if"
    r"|(?:don't|do not) hesitate to)\b|if anything(?: else)? is unclear|(?:if|should) you have (?:any )?(?:other |more |further )*questions"
    r"|(?:is there )?anything else\b|no (?:problem|worries)|of course|certainly|absolutely|welcome|you're welcome|my pleasure"
    r"|(?:hello|hi|hey|good (?:morning|afternoon|evening))\b|have a (?:good|great|nice|lovely|wonderful) (?:day|evening|weekend)"
)
"""How something begins that goes on with `_SOFT` words only, if it is said to the person and no more."""
_OPENING = (
    r"in (?:short|brief|summary|other words|a nutshell)|to (?:sum up|summari[sz]e|be clear|put it simply|answer your question)"
    r"|(?:the )?short answer(?: is)?|long story short|here(?:'s| is| are) (?:what|how|the|your|some|an?)(?: (?:short|quick|answer|question"
    r"|your|applies|details|facts|information|summary|overview|steps|documents?|pages?|sources?|says?|found|find|know|need|to|you|we|i|it"
    r"|works|asked|for))*"
)
"""What leads up to something that is said."""
_PLAIN = re.compile(rf"(?:{_BEGINNING})(?:,? (?:{'|'.join(_SOFT.split())})(?![\w']))*|{_OPENING}", re.IGNORECASE)
_JOINT = re.compile(r",\s+(?:(?:and|but|so)\s+)?|\s+and\s+(?=(?:please|let|feel|have|thank)\b)", re.IGNORECASE)
_LEADING = re.compile(rf"(?:{_PLAIN.pattern})\s*(?:[,:;.!]|-|\u2013|\u2014)+\s+", re.IGNORECASE)


def courteous(clause: str) -> bool:
    """Return whether a clause, without the punctuation around it, says nothing of the matter. In English, by its wording.

    A word that is not as empty makes it a claim: "let me know if you need anything", and not "let me know if the motor is loud".
    """
    return _PLAIN.match(clause) is not None and all(map(_PLAIN.fullmatch, _JOINT.split(clause)))


def opened(text: str, start: int, end: int) -> int:
    """Return where in `text`, from `start` on, the matter begins, behind an opening such as "Good question: "."""
    while (match := _LEADING.match(text, start, end)) and match.end() < end:
        start = match.end()
    return start
