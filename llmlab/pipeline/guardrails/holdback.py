"""Hold-back: an answer is released while it comes, and nothing of it that a guard could still object to.

The guards say from where on the text is open; what stands before that is final and goes out at once. So the verdict does not depend on how
the answer was split into chunks, and what a guard objects to is never on the screen.

Notebook: 02_guardrails.ipynb
"""

from __future__ import annotations

from collections.abc import Sequence

from llmlab.pipeline.answer import moved
from llmlab.pipeline.guardrails.base import CONTEXT_CHARACTERS, Streaming
from llmlab.pipeline.guardrails.verdict import Verdict, action_of, checked


class HoldBack:
    """Releases an answer behind its guards.

    Args:
        guards: They look at every piece.
        where: What the text is called in the trace.
    """

    def __init__(self, guards: Sequence[Streaming], where: str = "answer") -> None:
        self.verdict = Verdict(where, looked=bool(guards))
        self.most_held = 0
        """The most that was held at once (in characters)."""
        self._guards = [(guard, int(getattr(guard, "looks_back", CONTEXT_CHARACTERS))) for guard in guards]
        self._text = ""
        """What was released last, as context, and what is held."""
        self._offset = 0
        """Where `_text` begins in the answer."""
        self._held = 0
        """Where in `_text` the part begins that is held: what guards find from there on is new."""
        self._shown = 0
        """Up to where in `_text` it was shown, or masked: beyond `_held` where a masked span goes on."""
        self._furthest = max((looks_back for _, looks_back in self._guards), default=0)

    @property
    def stopped(self) -> bool:
        """Whether nothing more will be released."""
        return self.verdict.status != "ok"

    def feed(self, piece: str) -> str:
        """Take a piece of the answer, and return what can be shown now."""
        if self.stopped:
            return ""
        if not self._guards and not self._text:
            return piece
        self._text += piece
        return self._release(final=False)

    def finish(self) -> str:
        """Return the rest: the answer has ended, and nothing is open any more."""
        return "" if self.stopped else self._release(final=True)

    def _release(self, *, final: bool) -> str:
        text, held = self._text, self._held
        upto, found, views = len(text), [], []
        try:
            for guard, looks_back in self._guards:
                begin = max(0, held - looks_back)
                views.append((begin, text[begin:]))
                if not final:
                    upto = min(upto, max(held, begin + guard.open_from(views[-1][1])))
            for (guard, _), (begin, view) in zip(self._guards, views, strict=True) if upto > held else ():
                ours = (moved(checked(one), begin) for one in guard.check(view, role="assistant"))
                found += [(guard, one) for one in ours if held <= one.start < upto]
        except Exception as error:
            self._guards = [pair for pair in self._guards if pair[0] is not guard]
            self.verdict.crashed(guard, error)
            return "" if self.stopped else self._release(final=final)
        self.most_held = max(self.most_held, len(text) - upto)
        if upto == held:
            return ""
        shown: list[str] = []
        for guard, one in sorted(found, key=lambda pair: pair[1].start):
            self.verdict.add([(guard, moved(one, self._offset))])
            if self.stopped:
                upto = max(self._shown, one.start)
                break
            if action_of(guard) == "redact" and one.end > self._shown:
                if one.start >= self._shown:
                    shown += [text[self._shown : one.start], f"[{one.kind.upper()}]"]
                self._shown = one.end
        if upto > self._shown:
            shown.append(text[self._shown : upto])
            self._shown = upto
        keep = max(0, upto - self._furthest)
        self._text, self._offset, self._held, self._shown = text[keep:], self._offset + keep, upto - keep, self._shown - keep
        return "".join(shown)
