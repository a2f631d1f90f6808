"""The faults: a name, attributes with units, a probability. `llmlab.faults` lists them, one line each."""

from __future__ import annotations

from llmlab.wire.faults.base import FAULTS, Fault, fault_named
from llmlab.wire.faults.latency import Jitter, Latency, LatencySpike, SlowDecode, SlowFirstToken, Stall
from llmlab.wire.faults.plan import Timing

__all__ = ["FAULTS", "Fault", "Jitter", "Latency", "LatencySpike", "SlowDecode", "SlowFirstToken", "Stall", "Timing", "fault_named"]
