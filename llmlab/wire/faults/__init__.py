"""The faults: a name, attributes with units, a probability. `llmlab.faults.catalogue()` lists them, one line each."""

from __future__ import annotations

from llmlab.wire.faults.base import FAULTS, Fault, fault_named
from llmlab.wire.faults.latency import Jitter, Latency, LatencySpike, SlowDecode, SlowFirstToken, Stall
from llmlab.wire.faults.listing import Catalogue, catalogue
from llmlab.wire.faults.over_time import BrownOut, Bursts, Outage
from llmlab.wire.faults.plan import Break, End, Plan, Sent, Silence, Spoil, Timing, Whole
from llmlab.wire.faults.quota import Quota
from llmlab.wire.faults.refusals import ContentFilter, ContextLength, InsufficientQuota, ModelGone, RateLimit, ServerError, Unauthorized
from llmlab.wire.faults.stream import (
    CutStream,
    DuplicatedChunk,
    EmptyChoices,
    EmptyStream,
    HalfEvent,
    HtmlStream,
    InBandError,
    InvalidUtf8,
    KeepAliveOnly,
    MalformedEvent,
    MissingChunk,
    MissingUsage,
    ReorderedChunks,
    ResetStream,
    RoleThenSilence,
    SplitCharacter,
    StallAfterDone,
)
from llmlab.wire.faults.transport import ConnectionRefused, ConnectTimeout, DnsFailure, ReadTimeout, ResetAfterBytes, ResetBeforeHeaders

__all__ = [
    "FAULTS",
    "Break",
    "BrownOut",
    "Bursts",
    "Catalogue",
    "ConnectTimeout",
    "ConnectionRefused",
    "ContentFilter",
    "ContextLength",
    "CutStream",
    "DnsFailure",
    "DuplicatedChunk",
    "EmptyChoices",
    "EmptyStream",
    "End",
    "Fault",
    "HalfEvent",
    "HtmlStream",
    "InBandError",
    "InsufficientQuota",
    "InvalidUtf8",
    "Jitter",
    "KeepAliveOnly",
    "Latency",
    "LatencySpike",
    "MalformedEvent",
    "MissingChunk",
    "MissingUsage",
    "ModelGone",
    "Outage",
    "Plan",
    "Quota",
    "RateLimit",
    "ReadTimeout",
    "ReorderedChunks",
    "ResetAfterBytes",
    "ResetBeforeHeaders",
    "ResetStream",
    "RoleThenSilence",
    "Sent",
    "ServerError",
    "Silence",
    "SlowDecode",
    "SlowFirstToken",
    "SplitCharacter",
    "Spoil",
    "Stall",
    "StallAfterDone",
    "Timing",
    "Unauthorized",
    "Whole",
    "catalogue",
    "fault_named",
]
