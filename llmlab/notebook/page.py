"""The pieces of HTML that panels are made of. Whatever comes from outside is escaped here, model output first of all."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from llmlab.errors import LlmlabError

if TYPE_CHECKING:
    import pandas as pd

STYLE = """<style>
.llmlab-sentence {font-size: 18px; line-height: 1.35; font-weight: 600; margin: 4px 0 2px 0}
.llmlab-note {font-size: 13px; line-height: 1.35; color: #555; margin: 0}
.llmlab-banner {font-size: 14px; line-height: 1.4; padding: 8px 12px; border-left: 4px solid #A84300; background: #FDF1E8; color: #222}
.llmlab-table table {border-collapse: collapse; font-size: 13px; margin: 4px 0}
.llmlab-table th, .llmlab-table td {line-height: 1.3; padding: 3px 10px; text-align: right; border: none; border-bottom: 1px solid #ddd}
.llmlab-table th:first-child, .llmlab-table td:first-child {text-align: left}
.llmlab-code {white-space: pre !important; font-size: 13px; line-height: 1.45; padding: 8px 12px !important; margin: 4px 0}
.llmlab-code {background: #f5f5f5; color: #222; overflow-x: auto}
.llmlab-chat {border: 1px solid #999; border-radius: 6px; padding: 8px 10px; font-size: 14px; line-height: 1.4; min-height: 120px}
.llmlab-chat p {margin: 4px 0}
.llmlab-me {background: #E8E8E8; border-radius: 8px; padding: 4px 8px; display: inline-block; color: #222}
.llmlab-it {background: #DCEBF5; border-radius: 8px; padding: 4px 8px; display: inline-block; color: #222}
</style>"""
"""Shown once by each panel. Text keeps a contrast of at least 4.5 to its background (AA)."""


def sentence(text: str, note: str = "") -> str:
    """Return the line on top of a panel, and a smaller one below it."""
    below = f'<p class="llmlab-note">{escape(note)}</p>' if note else ""
    return f'{STYLE}<p class="llmlab-sentence">{escape(text)}</p>{below}'


def banner(text: str) -> str:
    """Return a notice that is read out when it appears."""
    return f'<div class="llmlab-banner" role="alert">{escape(text)}</div>' if text else ""


def trouble(error: BaseException) -> str:
    """Return the notice for an error: ours say what to do, of others at least the kind is told."""
    if isinstance(error, LlmlabError):
        return banner(str(error))
    return banner(f"{type(error).__name__}: {error}. What you see below is the last run that worked; Reset brings the defaults back.")


def table(frame: pd.DataFrame) -> str:
    """Return a frame as a table for people; cells are escaped."""
    return str(frame.to_html(index=False, border=0, na_rep="", classes="llmlab"))


def boxed_table(frame: pd.DataFrame, title: str = "") -> str:
    """Return the same within a panel."""
    head = f'<p class="llmlab-note">{escape(title)}</p>' if title else ""
    return f'<div class="llmlab-table">{head}{table(frame)}</div>'


def code(text: str) -> str:
    """Return a listing."""
    return f'<pre class="llmlab-code">{escape(text)}</pre>' if text else ""
