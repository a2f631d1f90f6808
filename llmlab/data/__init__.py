"""The help desk that all lessons and experiments run on: documents, questions, retrieval and grading."""

from __future__ import annotations

from llmlab.data.help_desk import Case, Document, cases, documents, grade, load_cases, retrieve, says_dont_know

__all__ = ["Case", "Document", "cases", "documents", "grade", "load_cases", "retrieve", "says_dont_know"]
